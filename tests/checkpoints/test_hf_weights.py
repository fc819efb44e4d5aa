"""Folders that transformers wrote, read and written back."""

import json

import ml_dtypes
import numpy as np
import pytest
import torch
from flax.traverse_util import flatten_dict
from safetensors.torch import load_file
from tiny_hf import KINDS, PATCH, VISION_LAYERS, make, wanted

from mllm.checkpoints.hf import find_prefixes, read_tree, write_tree
from mllm.checkpoints.tables import TABLES
from mllm.checkpoints.tensor_files import open_folder

SHARD = 20_000  # bytes: several files for every model


def table_of(kind: str):
    return TABLES[kind.split("_")[0]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A folder of several shards for each kind and dtype, made once."""
    made = {}

    def folder(kind: str, dtype: torch.dtype = torch.float32):
        if (kind, dtype) not in made:
            path = tmp_path_factory.mktemp(kind)
            make(kind, dtype).save_pretrained(path, max_shard_size=SHARD)
            made[kind, dtype] = path
        return made[kind, dtype]

    return folder


def tensors_of(folder) -> dict[str, torch.Tensor]:
    """All tensors of a folder, read by the safetensors library."""
    files = sorted(folder.glob("*.safetensors"))
    return {name: value for file in files for name, value in load_file(file).items()}


def numbers(value: torch.Tensor) -> np.ndarray:
    if value.dtype == torch.bfloat16:
        return value.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return value.numpy()


def by_modules(model) -> dict[str, torch.Tensor]:
    """Our tree, flat, from the attributes of the modules: no name of a file is used."""
    inner = model.model
    text = inner.language_model if hasattr(inner, "language_model") else inner.text_model
    eyes = inner.vision_tower if hasattr(inner, "vision_tower") else inner.vision_model
    eyes = getattr(eyes, "vision_model", eyes)
    leaves = {"decoder/embed": text.embed_tokens.weight, "decoder/norm/scale": text.norm.weight}
    if not model.config.tie_word_embeddings:
        leaves["decoder/head"] = model.lm_head.weight.T
    leaves |= stack("decoder", map(gated_block, text.layers))
    llava = hasattr(inner, "multi_modal_projector")
    layers = eyes.encoder.layers[: VISION_LAYERS - llava]
    leaves |= stack("vision", map(vision_block, layers))
    embeddings = eyes.embeddings
    leaves["vision/position"] = embeddings.position_embedding.weight
    leaves["vision/patch/w"] = torch.stack(
        [
            embeddings.patch_embedding.weight[:, channel, row, column]
            for row in range(PATCH)
            for column in range(PATCH)
            for channel in range(3)
        ]
    )
    if embeddings.patch_embedding.bias is not None:
        leaves["vision/patch/b"] = embeddings.patch_embedding.bias
    if hasattr(eyes, "pre_layrnorm"):
        leaves["vision/class_token"] = embeddings.class_embedding
        leaves |= norm("vision/pre_norm", eyes.pre_layrnorm)
    if llava:
        leaves |= linear("projector/fc1", inner.multi_modal_projector.linear_1)
        leaves |= linear("projector/fc2", inner.multi_modal_projector.linear_2)
        return leaves
    leaves |= norm("vision/post_norm", eyes.post_layernorm)
    projection = inner.connector.modality_projection
    if hasattr(projection, "proj"):
        return leaves | linear("connector", projection.proj)
    resampler = inner.connector.perceiver_resampler
    leaves |= gated("connector", projection)
    leaves |= stack("resampler", map(resampler_block, resampler.layers))
    leaves |= norm("resampler/norm", resampler.norm)
    return leaves | {"resampler/latents": resampler.latents}


def linear(path, module):
    found = {f"{path}/w": module.weight.T}
    return found if module.bias is None else found | {f"{path}/b": module.bias}


def norm(path, module):
    found = {f"{path}/scale": module.weight}
    return found | {f"{path}/b": module.bias} if hasattr(module, "bias") else found


def gated(path, mlp):
    pairs = {"gate": mlp.gate_proj, "up": mlp.up_proj, "down": mlp.down_proj}
    found = {}
    for name, module in pairs.items():
        found |= linear(f"{path}/{name}", module)
    return found


def attention(module, output):
    found = {}
    for name in "qkv":
        found |= linear(f"layers/{name}", getattr(module, f"{name}_proj"))
    return found | linear("layers/o", output)


def gated_block(block):
    return {
        **attention(block.self_attn, block.self_attn.o_proj),
        **gated("layers", block.mlp),
        **norm("layers/attention_norm", block.input_layernorm),
        **norm("layers/mlp_norm", block.post_attention_layernorm),
    }


def resampler_block(block):
    return {
        **attention(block.self_attn, block.self_attn.o_proj),
        **gated("layers", block.mlp),
        **norm("layers/latents_norm", block.input_latents_norm),
        **norm("layers/context_norm", block.input_context_norm),
        **norm("layers/mlp_norm", block.post_attention_layernorm),
    }


def vision_block(block):
    return {
        **attention(block.self_attn, block.self_attn.out_proj),
        **linear("layers/fc1", block.mlp.fc1),
        **linear("layers/fc2", block.mlp.fc2),
        **norm("layers/attention_norm", block.layer_norm1),
        **norm("layers/mlp_norm", block.layer_norm2),
    }


def stack(part, blocks):
    blocks = list(blocks)
    return {f"{part}/{name}": torch.stack([b[name] for b in blocks]) for name in blocks[0]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_leaf_equals_the_parameters_of_the_modules(folders, kind, dtype):
    folder = folders(kind, dtype)
    assert len(list(folder.glob("*.safetensors"))) > 1
    tree, _ = read_tree(open_folder(folder), table_of(kind), wanted(kind))
    found, expected = flatten_dict(tree, sep="/"), by_modules(make(kind, dtype))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        value = numbers(value.detach().contiguous())
        assert found[path].dtype == value.dtype
        np.testing.assert_array_equal(found[path], value, path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_equals_what_was_read_to_the_bit(folders, tmp_path, kind, dtype):
    folder, table = folders(kind, dtype), table_of(kind)
    files = open_folder(folder)
    tree, carried = read_tree(files, table, wanted(kind))
    write_tree(
        tmp_path / "out",
        tree,
        carried,
        table,
        prefixes=find_prefixes(files, table),
        max_shard_bytes=SHARD,
    )
    before, after = tensors_of(folder), tensors_of(tmp_path / "out")
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name].dtype == value.dtype, name
        assert torch.equal(after[name], value), name
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == before.keys()
    assert index["metadata"]["total_size"] == sum(v.nbytes for v in before.values())
    sizes = [f.stat().st_size for f in (tmp_path / "out").glob("*.safetensors")]
    assert len(sizes) > 1 and max(sizes) < SHARD + 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_what_is_written(folders, tmp_path, kind):
    model = make(kind)
    tree, carried = read_tree(open_folder(folders(kind)), table_of(kind), wanted(kind))
    write_tree(tmp_path, tree, carried, table_of(kind))
    model.config.save_pretrained(tmp_path)
    assert [f.name for f in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    loaded, info = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
