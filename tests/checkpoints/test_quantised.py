"""Quantised folders: 8-bit weights as floats, against torch and transformers; others by name."""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_hf import make

import mllm
from mllm.checkpoints.hf_folder import read_folder
from mllm.parallel.mesh import make_mesh

NAME = "model.safetensors"
Tensors = dict[str, torch.Tensor]
MATRIX = "language_model.model.layers.1.mlp.down_proj"


def is_matrix(name: str) -> bool:
    """Whether a quantiser takes a tensor: the linear layers of the decoder."""
    return "language_model" in name and name.endswith("_proj.weight")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A folder of floats."""
    folder = tmp_path_factory.mktemp("plain")
    make("llava").save_pretrained(folder)
    return folder


def write(plain: Path, folder: Path, tensors: Tensors, **config) -> Path:
    """A folder of other tensors, with more in its config.json."""
    folder.mkdir()
    values = json.loads((plain / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **config}))
    save_file({name: values.contiguous() for name, values in tensors.items()}, folder / NAME)
    return folder


def each(change: Callable[[str, torch.Tensor], tuple[Tensors, torch.Tensor]]):
    """Return a quantiser: tensors -> (what is stored, the weights that this stands for)."""

    def quantise(tensors: Tensors) -> tuple[Tensors, Tensors]:
        stored, meant = {}, {}
        for name, values in tensors.items():
            if is_matrix(name):
                held, meant[name] = change(name.removesuffix("weight"), values)
                stored |= held
            else:
                stored[name] = meant[name] = values
        return stored, meant

    return quantise


def codes(values: torch.Tensor, scale: torch.Tensor, dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of a type, and what they mean."""
    found = values / scale
    found = found.round().clamp(-127, 127) if dtype == torch.int8 else found
    found = found.to(dtype)
    return found, found.float() * scale


def spread(scale: torch.Tensor, shape, block) -> torch.Tensor:
    """A scale for each element."""
    wide = scale.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)
    return wide[: shape[0], : shape[1]]


def scaled(end: str, shape: Callable, dtype=torch.float8_e4m3fn, **more):
    """Scales of a shape, which depends on the matrix."""

    def change(stem: str, values: torch.Tensor):
        scale = torch.rand(shape(*values.shape)) / 90 + 0.01
        held, meant = codes(values, scale, dtype)
        others = {f"{stem}{name}": value.clone() for name, value in more.items()}
        return {f"{stem}weight": held, f"{stem}{end}": scale, **others}, meant

    return each(change)


def blocks(end: str, rows: int, columns: int, dtype=torch.float8_e4m3fn, kind=torch.float32):
    """A scale for each block of a size."""

    def change(stem: str, values: torch.Tensor):
        grid = -(-values.shape[0] // rows), -(-values.shape[1] // columns)
        scale = (torch.rand(grid) / 90 + 0.01).to(kind)
        wide = spread(scale.float(), values.shape, (rows, columns))
        held, meant = codes(values, wide, dtype)
        return {f"{stem}weight": held, f"{stem}{end}": scale}, meant

    return each(change)


@each
def bitsandbytes(stem: str, values: torch.Tensor):
    largest = values.abs().amax(1)
    held, meant = codes(values, largest[:, None] / 127, torch.int8)
    order = torch.zeros((), dtype=torch.uint8)
    return {f"{stem}weight": held, f"{stem}SCB": largest, f"{stem}weight_format": order}, meant


@each
def asymmetric(stem: str, values: torch.Tensor):
    scale = torch.rand(len(values), 1) / 90 + 0.01
    zero = torch.randint(-9, 9, (len(values), 1)).to(torch.int8)
    held = (values / scale + zero).round().clamp(-128, 127).to(torch.int8)
    names = f"{stem}weight", f"{stem}weight_scale", f"{stem}weight_zero_point"
    return dict(zip(names, (held, scale, zero), strict=True)), (held.float() - zero) * scale


@each
def cast(stem: str, values: torch.Tensor):
    held = values.to(torch.float8_e5m2)
    return {f"{stem}weight": held}, held.float()


def compressed(**more) -> dict:
    return {"quantization_config": {"quant_method": "compressed-tensors", **more}}


FP8 = {"quantization_config": {"quant_method": "fp8"}}
ACTIVATIONS = {"input_scale": torch.ones(1), "activation_scale_ub": torch.ones(1)}
READ = {  # what is read: (quantiser, config.json)
    "FP8, a scale": (scaled("weight_scale", lambda o, i: (1,)), FP8),
    "FP8, a scalar": (scaled("weight_scale_inv", lambda o, i: ()), FP8),
    "FP8, static activations": (scaled("weight_scale", lambda o, i: (1,), **ACTIVATIONS), FP8),
    "FP8, rows": (
        scaled("weight_scale", lambda o, i: (o, 1)),
        {"quantization_config": {"quant_method": "fbgemm_fp8"}},
    ),
    "FP8, e5m2": (scaled("weight_scale", lambda o, i: (o, 1), torch.float8_e5m2), FP8),
    "FP8, blocks": (
        blocks("weight_scale_inv", 8, 4),
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [8, 4]}},
    ),
    "FP8, blocks that do not divide": (
        blocks("weight_scale_inv", 10, 7),
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [10, 7]}},
    ),
    "FP8, blocks larger than matrices": (
        blocks("weight_scale_inv", 128, 128),
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
    ),
    "FP8, scales of powers of two": (
        blocks("weight_scale_inv", 1, 8, kind=torch.float8_e8m0fnu),
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [1, 8]}},
    ),
    "FP8, as it is": (cast, {}),
    "compressed-tensors, FP8": (
        scaled("weight_scale", lambda o, i: (o, 1)),
        compressed(format="float-quantized"),
    ),
    "compressed-tensors, int8": (
        scaled("weight_scale", lambda o, i: (o, 1), torch.int8),
        compressed(format="int-quantized"),
    ),
    "compressed-tensors, groups": (blocks("weight_scale", 1, 8, torch.int8), compressed()),
    "compressed-tensors, zero points": (asymmetric, compressed()),
    "bitsandbytes": (
        bitsandbytes,
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
    ),
    "bitsandbytes, in text_config": (bitsandbytes, {"in_text": "bitsandbytes"}),
    "bitsandbytes, only by its names": (bitsandbytes, {}),
}


def config_of(plain: Path, config: dict) -> dict:
    if "in_text" not in config:
        return config
    text = json.loads((plain / "config.json").read_text())["text_config"]
    return {"text_config": {**text, "quantization_config": {"quant_method": config["in_text"]}}}


@pytest.mark.parametrize("name", READ)
def test_matrices_of_8_bits_are_the_floats_that_they_stand_for(plain, tmp_path, capsys, name):
    torch.manual_seed(0)
    quantise, config = READ[name]
    stored, meant = quantise(load_file(plain / NAME))
    config = config_of(plain, config)
    folder = write(plain, tmp_path / "quantised", stored, dtype="float32", **config)
    found = read_folder(folder)
    assert "14 matrices of 8 bits" in capsys.readouterr().err
    expected = read_folder(write(plain, tmp_path / "meant", meant)).variables
    for one, two in zip(*map(jax.tree.leaves, (found.variables, expected)), strict=True):
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=2e-7)
    spread_out = read_folder(folder, mesh=make_mesh(1, 4, 2)).variables
    jax.tree.map(np.testing.assert_array_equal, spread_out, found.variables)
    assert "quantization_config" not in found.origin.files["config.json"].decode()


def test_fp8_answers_as_transformers_does_without_a_gpu(plain, tmp_path):
    torch.manual_seed(0)
    stored, _ = blocks("weight_scale_inv", 8, 8)(load_file(plain / NAME))
    linear = {name.removesuffix(".weight") for name in stored if is_matrix(name)}
    model = make("llava")
    kept = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "language_model" not in name
    ]
    config = {"quant_method": "fp8", "weight_block_size": [8, 8], "modules_to_not_convert": kept}
    assert len(linear) == 14 and "lm_head" in kept
    folder = write(plain, tmp_path / "fp8", stored, dtype="float32", quantization_config=config)
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    ids = np.array([[1, 9, 20, 31, 7]])
    with torch.no_grad():
        expected = theirs.eval()(input_ids=torch.from_numpy(ids)).logits.numpy()
        before = model(input_ids=torch.from_numpy(ids)).logits.numpy()
    found = mllm.load(folder)
    same = {"atol": 1e-4 * np.abs(expected).max()}
    np.testing.assert_allclose(found.logits(ids), expected, **same)
    assert np.abs(expected - before).max() > 0.01
    found.save(tmp_path / "exported", "hf")
    again = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "exported")
    with torch.no_grad():
        exported = again.eval()(input_ids=torch.from_numpy(ids)).logits.numpy()
    np.testing.assert_allclose(exported, expected, **same)


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        ({"dtype": "float16"}, None, "float16"),
        ({"dtype": None, "torch_dtype": "bfloat16"}, None, "bfloat16"),
        ({"dtype": None}, None, "bfloat16"),
        ({"dtype": "float8_e4m3fn"}, None, "bfloat16"),
        ({"dtype": "float16"}, "float32", "float32"),
    ],
)
def test_the_floats_have_the_type_that_the_configuration_names(
    plain, tmp_path, config, dtype, expected
):
    stored, _ = bitsandbytes(load_file(plain / NAME))
    tree = read_folder(write(plain, tmp_path / "q", stored, **config), dtype=dtype)
    assert tree.variables["params"]["decoder"]["layers"]["q"]["w"].dtype == expected


def zeros(*shape: int, dtype=torch.int32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def named(**parts: Callable[[int, int], torch.Tensor]):
    """Tensors of other names instead of each matrix."""

    def change(stem: str, values: torch.Tensor):
        return {f"{stem}{end}": make(*values.shape) for end, make in parts.items()}, values

    return each(change)


def byte(*shape: int) -> torch.Tensor:
    return zeros(*shape, dtype=torch.uint8)


FOUR = named(
    **{
        "weight": lambda o, i: byte(o * i // 2, 1),
        "weight.absmax": lambda o, i: byte(o),
        "weight.quant_map": lambda o, i: torch.zeros(16),
        "weight.quant_state.bitsandbytes__nf4": lambda o, i: byte(90),
    }
)
GPTQ = named(
    qweight=lambda o, i: zeros(i // 8, o),
    qzeros=lambda o, i: zeros(1, o // 8),
    scales=lambda o, i: torch.ones(1, o),
    g_idx=lambda o, i: zeros(i),
)
AWQ = named(
    qweight=lambda o, i: zeros(i, o // 8),
    qzeros=lambda o, i: zeros(1, o // 8),
    scales=lambda o, i: torch.ones(1, o),
)
PACKED = named(
    weight_packed=lambda o, i: zeros(o, i // 8),
    weight_scale=lambda o, i: torch.ones(o, 1),
    weight_shape=lambda o, i: torch.tensor([o, i]),
)
NVFP4 = named(
    weight=lambda o, i: byte(o, i // 2),
    weight_scale=lambda o, i: torch.ones(o, i // 8).to(torch.float8_e4m3fn),
    weight_scale_2=lambda o, i: torch.ones(()),
)
HQQ = named(
    W_q=lambda o, i: byte(o, i), scale=lambda o, i: torch.ones(o), zero=lambda o, i: byte(o)
)
INT8 = named(weight=lambda o, i: zeros(o, i, dtype=torch.int8))
TURNED = named(
    weight=lambda o, i: zeros(o, i, dtype=torch.int8),
    SCB=lambda o, i: torch.ones(o),
    weight_format=lambda o, i: torch.ones((), dtype=torch.uint8),
)
MISFIT = named(
    weight=lambda o, i: torch.zeros(o, i).to(torch.float8_e4m3fn),
    weight_scale_inv=lambda o, i: torch.ones(5, 5),
)
FAKE = named(weight=torch.zeros, weight_scale=lambda o, i: torch.ones(o, 1))


def method(name: str, **more) -> dict:
    return {"quantization_config": {"quant_method": name, **more}}


REFUSED = {  # what is refused: (quantiser, config.json, what is said of it)
    "bitsandbytes": (FOUR, method("bitsandbytes", load_in_4bit=True), r"bitsandbytes, 4 bits\)"),
    "bitsandbytes, no config": (FOUR, {}, r"\(bitsandbytes, 4 bits\)"),
    "bitsandbytes, a GPU's order": (TURNED, method("bitsandbytes"), r"\(bitsandbytes\)"),
    "GPTQ": (GPTQ, method("gptq", bits=4), r"\(gptq, 4 bits\)"),
    "GPTQ, no config": (GPTQ, {}, r"\(GPTQ\)"),
    "AWQ": (AWQ, method("awq", bits=4), r"\(awq, 4 bits\)"),
    "AWQ, no config": (AWQ, {}, r"\(AWQ or GPTQ\)"),
    "compressed-tensors": (PACKED, compressed(), r"\(compressed-tensors\)"),
    "older compressed-tensors": (
        PACKED,
        {"compression_config": compressed()["quantization_config"]},
        r"\(compressed-tensors\)",
    ),
    "compressed-tensors, fake": (FAKE, compressed(), r"weight_scale"),
    "compressed-tensors, rotated": (
        scaled("weight_scale", lambda o, i: (1,)),
        compressed(transform_config={"config_groups": {"u": {}}}),
        r"\(compressed-tensors\)",
    ),
    "NVFP4": (NVFP4, method("modelopt"), r"\(modelopt\)"),
    "HQQ": (HQQ, method("hqq"), r"\(hqq\)"),
    "HQQ, no config": (HQQ, {}, r"\(HQQ\)"),
    "torchao": (INT8, method("torchao"), r"\(torchao\)"),
    "blocks that do not fit": (MISFIT, FP8, r"\(fp8\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_quantised_folders_are_named_with_what_to_do(plain, tmp_path, name):
    quantise, config, what = REFUSED[name]
    folder = write(plain, tmp_path / "q", quantise(load_file(plain / NAME))[0], **config)
    message = rf"q(/config\.json)?: the weights are quantised.*{what}.*dequantize"
    with pytest.raises(ValueError, match=message) as caught:
        read_folder(folder)
    assert NAME in str(caught.value)


@pytest.mark.parametrize("name", ["quantize_config.json", "quant_config.json"])
def test_what_older_quantisers_wrote_beside_the_configuration(plain, tmp_path, name):
    folder = write(plain, tmp_path / "q", GPTQ(load_file(plain / NAME))[0])
    (folder / name).write_text(json.dumps({"bits": 3, "quant_method": "gptq"}))
    with pytest.raises(ValueError, match=rf"{name}: the weights are quantised \(gptq, 3 bits\)"):
        read_folder(folder)


def test_floats_are_floats_whatever_the_configuration_says(plain, tmp_path):
    """A merge of an adapter often leaves the configuration of the quantised model behind."""
    tensors = load_file(plain / NAME)
    folder = write(plain, tmp_path / "q", tensors, **method("bitsandbytes", load_in_4bit=True))
    expected = read_folder(plain).variables
    jax.tree.map(np.testing.assert_array_equal, read_folder(folder).variables, expected)


def test_codes_that_are_no_numbers_are_named(plain, tmp_path):
    stored, _ = scaled("weight_scale", lambda o, i: (1,))(load_file(plain / NAME))
    stored[f"{MATRIX}.weight"].view(torch.uint8)[0, 0] = 0x7F
    folder = write(plain, tmp_path / "q", stored, **FP8)
    with pytest.raises(ValueError, match=rf"'{MATRIX}\.weight' holds NaN or infinity"):
        read_folder(folder)
