"""A model in memory, with everything that is needed to ask it and to save it."""

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.tensor_files import Pending, TensorFiles, write_file
from mllm.data.processor import Processor
from mllm.files import read_json, replacing, write_json
from mllm.models import MODELS
from mllm.ops.lora import merge_lora
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import place, place_rows

CONFIG = "config.json"
CARRIED, PREFIXES = "carried.safetensors", "prefixes.json"


@dataclass(frozen=True)
class Origin:
    """What a Hugging Face folder holds in addition to the weights that the model uses.

    Attributes:
      files: its small files by their path below it, including config.json.
      prefixes: the prefixes of its tensor names, from ``mllm.checkpoints.hf.find_prefixes``.
      carried: tensors that the model does not use, by published name.
    """

    files: dict[str, bytes] = field(repr=False)
    prefixes: tuple[str, ...]
    carried: dict[str, np.ndarray] = field(repr=False)

    def cast(self, dtype: str) -> "Origin":
        """Return the origin of the same folder as if it had been saved in ``dtype``."""
        raw, kind = json.loads(self.files[CONFIG]), str(jnp.dtype(dtype))
        sections = [raw, *(part for part in raw.values() if isinstance(part, dict))]
        named = [
            (part, key) for part in sections for key in ("dtype", "torch_dtype") if key in part
        ]
        files = self.files
        if any(part[key] != kind for part, key in named):
            for part, key in named:
                part[key] = kind
            files = files | {CONFIG: json.dumps(raw, indent=2).encode()}
        carried = {name: values.astype(kind) for name, values in self.carried.items()}
        return replace(self, files=files, carried=carried)


@dataclass(frozen=True)
class NoProcessor:
    """A placeholder for the processor of a folder that has none: weights alone give logits."""

    missing: Path

    def __getattr__(self, name: str):
        raise FileNotFoundError(
            f"{self.missing}: no such file, so text and images cannot be prepared, and the model "
            "computes only logits; save the processor, with a fast tokenizer, into the folder with "
            "transformers' save_pretrained"
        )


@dataclass(frozen=True)
class Loaded:
    """A model with its config, variables, processor and system prompt.

    Attributes:
      variables: {"params", "lora"?}.
      image_id, audio_id: ids of the tokens that stand for images and sounds, None in a model that
        takes none.
    """

    family: str
    config: object
    variables: dict
    processor: Processor | NoProcessor
    system_prompt: str | None = None
    lora: dict | None = None
    origin: Origin | None = None
    image_id: int | None = None
    audio_id: int | None = None

    def __post_init__(self):
        for name in ("image_id", "audio_id"):
            if getattr(self, name) is None and isinstance(self.processor, Processor):
                object.__setattr__(self, name, getattr(self.processor, name))

    @property
    def model(self):
        """The family's module of pure functions."""
        return MODELS[self.family]

    def digest(self) -> str:
        """Return the ``weights_digest`` of all variables."""
        return weights_digest(self.variables)

    def merged(self, mesh: Mesh) -> "Loaded":
        """Return the model with its adapter merged into its weights, and these on a mesh."""
        return replace(self, variables=place(merge_lora(self.variables), mesh), lora=None)

    def place_rows(self, batch: dict) -> dict:
        """Place the rows of a batch, arrays [R, ...], on the mesh of the weights.

        See ``mllm.parallel.place.place_rows``.
        """
        return place_rows(batch, mesh_of(self.variables))


def write_origin(folder: Path, origin: Origin) -> None:
    """Write what ``read_origin`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in origin.files.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    tensors = [
        Pending(name, values.dtype, values.shape, partial(np.asarray, values))
        for name, values in origin.carried.items()
    ]
    write_file(folder / CARRIED, tensors)
    write_json(folder / PREFIXES, {"prefixes": list(origin.prefixes)})


def read_origin(folder: Path) -> Origin:
    """Read what ``write_origin`` wrote.

    Raises:
      FileNotFoundError, ValueError: the message names the file.
    """
    ours = (CARRIED, PREFIXES)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ours
    }
    carried = TensorFiles(folder / CARRIED, [folder / CARRIED])
    prefixes = tuple(read_json(folder / PREFIXES)["prefixes"])
    return Origin(files, prefixes, {name: carried.read(name) for name in carried})
