"""Folders of models that are broken in one way each, and what ``mllm.load`` says of them."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from damage import (
    INDEX,
    MISSING,
    Damage,
    begin,
    both,
    config,
    cut,
    header,
    remove,
    setting,
    shard_of,
    tensor,
    tensors,
    text,
)

EMBED = "language_model.model.embed_tokens.weight"
NORM = "language_model.model.norm.weight"
QUERY = "language_model.model.layers.1.self_attn.q_proj.weight"


class Broken(NamedTuple):
    """What is done to which good folder, and what ``mllm.load`` answers; the
    message is a regular expression, and names the folder too."""

    damage: Damage
    message: str
    error: type = ValueError
    kind: str = "llava"


def weights(where: str, value: object) -> Damage:
    """Another entry of the index."""
    return setting_of_index(lambda names: names.__setitem__(where, value))


def setting_of_index(change: Callable[[dict], object]) -> Damage:
    def damage(folder: Path):
        index = json.loads((folder / INDEX).read_text())
        change(index["weight_map"])
        (folder / INDEX).write_text(json.dumps(index))

    return damage


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 4959999999\n"


def stand_in(name: str, content: str, what: str, kind: str = "llava") -> "Broken":
    """A file of which something else is in its place."""
    return Broken(text(name, content), rf"{re.escape(name)}: is a {what}", kind=kind)


def link_to_nothing(name: str) -> "Broken":
    def damage(folder: Path):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("../../blobs/1234")

    message = rf"{re.escape(name)}: is a link to \.\./\.\./blobs/1234, which is not there"
    return Broken(damage, message, FileNotFoundError)


def only_pickled(folder: Path):
    for path in [*folder.glob("*.safetensors"), folder / INDEX]:
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")


def in_two_shards(folder: Path):
    held = {NORM: np.ones(32, np.float32)}
    tensors(EMBED, lambda names: names.update(held))(folder)


def shift(name: str, amount: int) -> Damage:
    def change(fields: dict):
        entry = fields[name]
        entry["data_offsets"] = [at + amount for at in entry["data_offsets"]]

    return header(name, change)


def as_type(name: str, kind: str) -> Damage:
    """The header calls a tensor something else."""
    return header(name, lambda fields: fields[name].update(dtype=kind))


def no_checkpoint(folder: Path):
    shutil.rmtree(folder / "checkpoints")


def images(key: str, value: object) -> Damage:
    """Another value of the image processor."""
    return setting("processor_config.json", f"image_processor.{key}", value)


def adapter(key: str, value: object) -> Damage:
    return setting("adapter_config.json", key, value)


BROKEN_WEIGHTS = {
    "truncated": Broken(cut(EMBED, 100), r"00002-of-.*: expected 43520 bytes .* found 43420"),
    "a byte too much": Broken(
        lambda f: (p := shard_of(f, EMBED)).write_bytes(p.read_bytes() + b"0"),
        r"expected 43520 bytes of tensors, found 43521",
    ),
    "overlap": Broken(
        shift("language_model.model.layers.0.mlp.up_proj.weight", -4),
        r"expected to begin at byte .* found",
    ),
    "gap": Broken(shift(QUERY, 4), r"expected to begin at byte .* found"),
    "no header": Broken(begin(EMBED, b"\x10" + b"\0" * 7 + b"not json, I fear"), r"00002.*JSON"),
    "endless header": Broken(begin(EMBED, b"\xff" * 8), r"00002.*expected a header of \d+ bytes"),
    "empty file": Broken(lambda f: shard_of(f, EMBED).write_bytes(b""), r"00002.*found 0 bytes"),
    "unknown dtype": Broken(as_type(EMBED, "F33"), r"embed_tokens.*'dtype': expected .* 'F33'"),
    "integers": Broken(
        tensor(EMBED, lambda x: x.astype(np.int64)),
        r"embed_tokens.*expected one of F32, F16, BF16, found I64",
    ),
    "layers of two dtypes": Broken(
        tensor(QUERY, lambda x: x.astype(np.float16)),
        r"layers\.1\.self_attn\.q_proj.*expected float32.*layers\.0.*found float16",
    ),
    "nan": Broken(tensor(QUERY, lambda x: x * np.nan), r"q_proj.weight' holds NaN or infinity"),
    "inf": Broken(tensor(NORM, lambda x: x * float("inf")), r"norm.weight' holds NaN or infinity"),
    "tensor missing": Broken(
        tensors(NORM, lambda held: held.pop(NORM)), r"00005.*norm.weight' is missing: .*index"
    ),
    "tensor missing everywhere": Broken(
        both(
            tensors(NORM, lambda held: held.pop(NORM)),
            setting_of_index(lambda names: names.pop(NORM)),
        ),
        r"norm.weight' is missing: expected shape \(32,\)",
    ),
    "tensor unexpected": Broken(
        both(
            tensors(NORM, lambda held: held.update(extra=held[NORM])),
            setting_of_index(lambda names: names.update(extra=names[NORM])),
        ),
        r"00005.*'extra' is unexpected",
    ),
    "tensor misshapen": Broken(
        tensor(EMBED, lambda x: x[:, :-1]), r"embed_tokens.*expected shape \(340, 32\), found"
    ),
    "tensor turned": Broken(
        tensor("language_model.model.layers.0.mlp.up_proj.weight", lambda x: x.T),
        r"up_proj.*expected shape \(48, 32\), found \(32, 48\)",
    ),
    "tensor in two shards": Broken(in_two_shards, r"norm.weight' is in .* too; remove one"),
    "index lacks a tensor": Broken(
        setting_of_index(lambda names: names.pop(NORM)), r"norm.weight' is unexpected: not in"
    ),
    "shard missing": Broken(
        lambda f: shard_of(f, EMBED).unlink(), r"00002.*no such file, .*index", FileNotFoundError
    ),
    "shard above": Broken(weights(NORM, "../x.safetensors"), r"index.*plain name.*'\.\./x"),
    "shard anywhere": Broken(weights(NORM, "/abs.safetensors"), r"index.*plain name.*'/abs"),
    "shard below": Broken(weights(NORM, "sub/x.safetensors"), r"index.*plain name.*'sub/x"),
    "shard of a number": Broken(weights(NORM, 3), r"index.*'weight_map': expected"),
    "shard that is a pickle": Broken(weights(NORM, "x.bin"), r"index.*plain name.*'x.bin'"),
    "index empty": Broken(text(INDEX, '{"weight_map": {}}'), r"'weight_map': .*found none"),
    "index no json": Broken(text(INDEX, "{"), r"index.json: not JSON"),
    "only pickled": Broken(only_pickled, r"pytorch_model.bin.*can run code", FileNotFoundError),
    "no weights": Broken(
        lambda f: [p.unlink() for p in f.glob("model*")], r"expected model", FileNotFoundError
    ),
    "tied, but another head": Broken(
        both(config("text_config.tie_word_embeddings", True), config("tie_word_embeddings", True)),
        r"lm_head.weight': expected the values of .*embed_tokens.*tie_word_embeddings to false",
    ),
}
BROKEN_CONFIGS = {
    "config missing": Broken(remove("config.json"), r"expected a folder with config.json"),
    "config no json": Broken(text("config.json", "{'a': 1}"), r"config.json: not JSON"),
    "config a list": Broken(text("config.json", "[1]"), r"expected a JSON object, found list"),
    "model type": Broken(config("model_type", "blip"), r"'model_type': found 'blip'.*llava"),
    "no model type": Broken(config("model_type", MISSING), r"'model_type': found None"),
    "model type a list": Broken(config("model_type", ["llava"]), r"'model_type': found \['llava"),
    "text type": Broken(
        config("text_config.model_type", "gpt2"), r"text_config.model_type.*llama.*'gpt2'"
    ),
    "vision type": Broken(
        config("vision_config.model_type", "dino"), r"vision_config.model_type.*clip.*'dino'"
    ),
    "text config a word": Broken(config("text_config", "x"), r"'text_config': expected an object"),
    "activation": Broken(
        config("text_config.hidden_act", "mish"), r"text_config.hidden_act.*silu.*'mish'"
    ),
    "activation a list": Broken(
        config("text_config.hidden_act", ["silu"]), r"text_config.hidden_act.*\['silu'\]"
    ),
    "projector activation": Broken(config("projector_hidden_act", "x"), r"projector_hidden_act"),
    "key heads": Broken(
        config("text_config.num_key_value_heads", 3), r"num_key_value_heads.*divisor.*4, found 3"
    ),
    "vision heads": Broken(
        config("vision_config.num_attention_heads", 3), r"num_attention_heads.*divisor.*16, found 3"
    ),
    "width for heads": Broken(
        both(config("text_config.hidden_size", 33), config("text_config.head_dim", MISSING)),
        r"text_config.num_attention_heads.*divisor of hidden_size 33",
    ),
    "negative size": Broken(
        config("text_config.num_hidden_layers", -2), r"num_hidden_layers.*positive int, found -2"
    ),
    "size a word": Broken(
        config("text_config.vocab_size", "340"), r"vocab_size.*positive int, found '340'"
    ),
    "size a fraction": Broken(
        config("text_config.hidden_size", 32.5), r"hidden_size.*positive int, found 32.5"
    ),
    "odd head": Broken(config("text_config.head_dim", 7), r"head_dim.*even.*found 7"),
    "patches do not fit": Broken(
        config("vision_config.patch_size", 29), r"patch_size.*image_size 28, found 29"
    ),
    "eps a word": Broken(config("text_config.rms_norm_eps", "x"), r"rms_norm_eps.*'x'"),
    "more layers": Broken(
        config("text_config.num_hidden_layers", 3), r"layers\.2.* is missing: expected shape"
    ),
    "fewer layers": Broken(
        config("text_config.num_hidden_layers", 1), r"layers\.1.* is unexpected"
    ),
    "feature layer": Broken(config("vision_feature_layer", 7), r"vision_feature_layer.*-4 to 3"),
    "feature layer a flag": Broken(config("vision_feature_layer", True), r"vision_feature_layer"),
    "select strategy": Broken(
        config("vision_feature_select_strategy", "cls"), r"select_strategy.*default.*'cls'"
    ),
    "rope type": Broken(
        config("text_config.rope_parameters.rope_type", "yarn"), r"rope_type.*llama3, found 'yarn'"
    ),
    "rope theta": Broken(
        config("text_config.rope_parameters.rope_theta", "x"), r"rope_theta.*positive.*'x'"
    ),
    "rope a word": Broken(config("text_config.rope_parameters", "x"), r"rope_parameters.*object"),
    "partial rotation": Broken(
        config("text_config.partial_rotary_factor", 0.5), r"partial_rotary_factor.*found 0.5"
    ),
    "window a word": Broken(
        config("text_config.sliding_window", "x"), r"sliding_window.*'x'", kind="idefics2"
    ),
    "join": Broken(config("scale_factor", 3), r"scale_factor.*found 3", kind="idefics3"),
    "resampler heads": Broken(
        config("perceiver_config.num_key_value_heads", 3), r"num_key_value_heads", kind="idefics2"
    ),
    "image token too large": Broken(
        config("image_token_index", 340), r"'image_token_index': .* below vocab_size 340, found 340"
    ),
    "image token of others": Broken(
        config("image_token_index", 4), r"image token '<image>' has id 3, expected 4, the image_t"
    ),
}
BROKEN_PROCESSORS = {
    "tokenizer no json": Broken(text("tokenizer.json", "{"), r"tokenizer.json: not a tokenizer"),
    "tokenizer lacks the image token": Broken(
        setting("processor_config.json", "image_token", "<picture>"), r"no image token '<picture>'"
    ),
    "end token of others": Broken(
        setting("generation_config.json", "eos_token_id", 999), r"eos_token_id 999 is not in"
    ),
    "image processor a word": Broken(
        setting("processor_config.json", "image_processor", "x"), r"image_processor.*object"
    ),
    "two means": Broken(images("image_mean", [0.5, 0.5]), r"'image_mean'.*3 channels.*\[0.5, 0.5"),
    "mean of words": Broken(images("image_mean", ["a"] * 3), r"'image_mean'.*3 channels.*'a'"),
    "no deviation": Broken(
        images("image_std", [0.2, 0, 0.2]), r"'image_std'.*3 channels.*0\.2, 0,"
    ),
    "resampling": Broken(images("resample", 9), r"processor_config.json: resample is 9, expected"),
    "resampling a list": Broken(images("resample", [3]), r"resample is \[3\], expected"),
    "image processor": Broken(
        images("image_processor_type", "ViTImageProcessor"), r"image_processor_type is 'ViT.*CLIP"
    ),
    "image processor a number": Broken(
        images("image_processor_type", 3), r"image_processor_type is 3.*CLIP"
    ),
    "image side": Broken(
        both(images("size.shortest_edge", 30), images("crop_size", {"height": 30, "width": 30})),
        r"processor_config.json.* 30.*28",
    ),
    "tokens of an image": Broken(
        setting("processor_config.json", "image_seq_len", 9),
        r"image_seq_len is 9, but an image of the model takes 4",
        kind="idefics2",
    ),
    "dora": Broken(adapter("use_dora", True), r"lora_magnitude_vector' is missing", kind="peft"),
    "qalora": Broken(
        adapter("use_qalora", True), r"adapter_config.json: key 'use_qalora'", kind="peft"
    ),
    "rank of others": Broken(
        adapter("r", 3),
        r"adapter_model.*lora_A.*expected shape \(3, 32\), found \(2, 3",
        kind="peft",
    ),
    "rank none": Broken(adapter("r", 0), r"'r': expected a positive integer", kind="peft"),
    "base missing": Broken(
        adapter("base_model_name_or_path", "nowhere"), r"base_model_name.*'nowhere'", kind="peft"
    ),
    "base itself": Broken(
        adapter("base_model_name_or_path", "."), r"base_model_name.*'\.'", kind="peft"
    ),
    "adapter weights missing": Broken(
        remove("adapter_model.safetensors"), "adapter_model", FileNotFoundError, "peft"
    ),
    "no checkpoint": Broken(
        no_checkpoint, r"checkpoints/0/digests\.json: no such file, and .*digests", kind="ours"
    ),
    "model.json of no family": Broken(
        setting("model.json", "model.family", "lava"), r"model.json.*'lava'", kind="ours"
    ),
    "model.json lacks keys": Broken(
        setting("model.json", "lora", MISSING), r"model.json: keys \['lora'\] are", kind="ours"
    ),
    "model.json of sizes that do not meet": Broken(
        setting("model.json", "model.decoder.width", 40),
        r"model.json: was changed or damaged after it was written",
        kind="ours",
    ),
    "model.json of another size": Broken(
        setting("model.json", "model.decoder.mlp_width", 40),
        r"model.json: was changed or damaged after it was written",
        kind="ours",
    ),
    "processor.json": Broken(
        setting("processor.json", "transfrom", "crop"), r"processor.json.*'transfrom'", kind="ours"
    ),
}
SMALL = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
KEPT = ("tokenizer.model", "video_preprocessor_config.json")  # carried, though nothing reads them
SHARD = "model-00002-of-00006.safetensors"
UNFETCHED = {
    **{
        f"pointer {name}": stand_in(name, POINTER, "Git LFS pointer.*git lfs pull")
        for name in (*SMALL, *KEPT, INDEX, SHARD)
    },
    **{
        f"pointer {name}": stand_in(name, POINTER, "Git LFS pointer", "peft")
        for name in ("adapter_config.json", "adapter_model.safetensors")
    },
    "annex": stand_in(
        SHARD, "/annex/objects/SHA256E-s43520--1234\n", "git-annex pointer.*annex get"
    ),
    **{
        f"web page {name}": stand_in(name, "\n<!DOCTYPE html><html>", "web page.*/resolve/")
        for name in ("config.json", "tokenizer.json", SHARD)
    },
    **{f"link {name}": link_to_nothing(name) for name in (*SMALL, *KEPT, INDEX, SHARD)},
}
FOLDERS = BROKEN_WEIGHTS | BROKEN_CONFIGS | BROKEN_PROCESSORS | UNFETCHED
