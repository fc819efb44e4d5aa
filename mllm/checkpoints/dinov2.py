"""Read a DINOv2 tower (Oquab et al. 2023, arXiv:2304.07193) from the ONNX file of a larger network.

The file keeps the names of transformers' Dinov2Model under ``backbone.``, except for matrices that
the exporter transposed or folded; those are found through the node that uses them.
"""

from os import PathLike
from pathlib import Path

import numpy as np

from mllm.checkpoints.positions import resample_positions
from mllm.files import require_file
from mllm.models.vit import VisionConfig

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_HEAD_WIDTH = 64  # in every published DINOv2
_EMBEDDINGS = "embeddings.patch_embeddings.projection"
_CLASS_POSITION, _PATCH_POSITIONS = "embeddings.Concat", "embeddings.Reshape"
# Name within backbone.encoder.layer.N -> path in a layer of our tower.
_LAYER = {
    "norm1.weight": "attention_norm/scale",
    "norm1.bias": "attention_norm/b",
    "attention.attention.query.weight": "q/w",
    "attention.attention.query.bias": "q/b",
    "attention.attention.key.weight": "k/w",
    "attention.attention.key.bias": "k/b",
    "attention.attention.value.weight": "v/w",
    "attention.attention.value.bias": "v/b",
    "attention.output.dense.weight": "o/w",
    "attention.output.dense.bias": "o/b",
    "layer_scale1.lambda1": "attention_scale/scale",
    "norm2.weight": "mlp_norm/scale",
    "norm2.bias": "mlp_norm/b",
    "mlp.fc1.weight": "fc1/w",
    "mlp.fc1.bias": "fc1/b",
    "mlp.fc2.weight": "fc2/w",
    "mlp.fc2.bias": "fc2/b",
    "layer_scale2.lambda1": "mlp_scale/scale",
}


def read_dinov2_onnx(
    path: str | PathLike, *, image_size: int = 224, layers: int = 9
) -> tuple[VisionConfig, dict]:
    """Read the first layers of a tower; its output is Dinov2Model's ``hidden_states[layers]``.

    Args:
      path: an ONNX file exported from transformers' Dinov2Model.
      image_size: side of the square images in pixels; the position table is resampled to it.
      layers: how many layers to keep. In a network tuned for another task, a layer before the last
        gives the best features.

    Returns:
      (config, parameters of ``mllm.models.vit.VisionTower``, NumPy float32).

    Raises:
      FileNotFoundError: the file does not exist.
      ModuleNotFoundError: the package ``onnx`` is not installed.
      ValueError: the file is not an ONNX file, a tensor is missing or misshapen, the network has
        fewer layers, or the image size is not a multiple of the patch size.
    """
    path = Path(path)
    tensors = _Tensors(path)
    kernel = tensors.read(f"{_EMBEDDINGS}.weight", (None, 3, None, None))
    width, _, patch, _ = kernel.shape
    if image_size % patch:
        raise ValueError(
            f"image_size: expected a multiple of the patch size {patch}, found {image_size}"
        )
    found = tensors.count_layers()
    if not 1 <= layers <= found:
        raise ValueError(f"layers: expected 1 to {found}, those of {path}, found {layers}")
    mlp_width = tensors.read("encoder.layer.0.mlp.fc1.bias", (None,)).shape[0]
    config = VisionConfig(
        image_size=image_size,
        patch_size=patch,
        width=width,
        layers=layers,
        heads=width // _HEAD_WIDTH,
        mlp_width=mlp_width,
        norm_eps=1e-6,
        activation="gelu",
        pre_norm=False,
        patch_bias=True,
        layer_scale=True,
        **_IMAGENET,
    )
    table = tensors.read(_PATCH_POSITIONS, (1, None, width))[0]
    params = {
        "class_token": tensors.read("embeddings.cls_token", (1, 1, width)).reshape(width),
        "position": np.concatenate(
            [
                tensors.read(_CLASS_POSITION, (1, 1, width))[0],
                resample_positions(table, config.grid),
            ]
        ),
        "patch": {
            "w": kernel.transpose(2, 3, 1, 0).reshape(patch * patch * 3, width),
            "b": tensors.read(f"{_EMBEDDINGS}.bias", (width,)),
        },
        "layers": {},
    }
    shapes = {"fc1/w": (width, mlp_width), "fc1/b": (mlp_width,), "fc2/w": (mlp_width, width)}
    for name, target in _LAYER.items():
        module, leaf = target.split("/")
        square = (width, width) if leaf == "w" else (width,)
        stack = [
            tensors.read(f"encoder.layer.{layer}.{name}", shapes.get(target, square))
            for layer in range(layers)
        ]
        params["layers"].setdefault(module, {})[leaf] = np.stack(stack)
    return config, params


class _Tensors:
    """The tensors of the backbone by the name of their module; errors name file and tensor."""

    def __init__(self, path: Path):
        self.path = path
        graph = _load_graph(path)
        stored = {tensor.name: tensor for tensor in graph.initializer}
        self._tensors = {
            name.removeprefix("backbone."): tensor
            for name, tensor in stored.items()
            if name.startswith("backbone.")
        }
        for node in graph.node:
            scope, _, operation = node.name.rpartition("/")
            if not scope.startswith("/backbone/"):
                continue
            # "/backbone/embeddings/Concat_6" is module "embeddings" and operation "Concat".
            module = scope.removeprefix("/backbone/").replace("/", ".")
            operation = operation.split("_")[0]
            suffix = "weight" if operation == "MatMul" else operation
            for name in node.input:
                if name in stored and not name.startswith("backbone."):
                    self._tensors.setdefault(f"{module}.{suffix}", stored[name])

    def count_layers(self) -> int:
        prefix = "encoder.layer."
        return len({n.split(".")[2] for n in self._tensors if n.startswith(prefix)})

    def read(self, name: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Return float32 tensor ``name`` as stored; None in ``shape`` allows any size."""
        from onnx import numpy_helper

        if name not in self._tensors:
            raise ValueError(
                f"{self.path}: tensor {name!r} of the backbone is missing: expected shape {shape}; "
                "is this the ONNX export of a network on transformers' Dinov2Model?"
            )
        found = tuple(self._tensors[name].dims)
        fits = len(found) == len(shape) and all(
            e in (None, f) for e, f in zip(shape, found, strict=True)
        )
        if not fits:
            raise ValueError(f"{self.path}: tensor {name!r}: expected shape {shape}, found {found}")
        return numpy_helper.to_array(self._tensors[name]).astype(np.float32)


def _load_graph(path: Path):
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"reading {path} needs the package {error.name!r}: "
            "install it with `pip install --no-deps -r requirements-smol.txt`"
        ) from error
    try:
        return onnx.load(require_file(path)).graph
    except DecodeError as error:
        raise ValueError(f"{path}: expected an ONNX file, found {error}; fetch it again") from error
