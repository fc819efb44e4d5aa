"""Every small file of a Hugging Face folder travels with its model, whatever its name."""

import json

import numpy as np

from mllm.checkpoints.loaded import Origin, read_origin, write_origin
from mllm.checkpoints.small_files import read_small_files

KEPT = [
    ".gitattributes",
    "LICENSE",
    "README.md",
    "additional_chat_templates/rag.jinja",
    "additional_chat_templates/tool_use.jinja",
    "audio_tokenizer.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model.v3",
    "video_preprocessor_config.json",
]
LEFT = [
    ".cache/huggingface/download/config.json.metadata",
    "consolidated.00.pth",
    "model-00001-of-00002.safetensors",
    "model.safetensors.index.json",
    "onnx/decoder.onnx",
    "optimizer.pt",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "training_args.bin",
]


def test_all_but_weights_travel_there_and_back(tmp_path):
    for number, name in enumerate([*KEPT, *LEFT]):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps({"number": number}).encode() + b"\r\n\xff")
    found = read_small_files(tmp_path / "folder")
    assert sorted(found) == sorted(KEPT)
    assert all(found[name] == (tmp_path / "folder" / name).read_bytes() for name in KEPT)
    carried = {"norm.weight": np.arange(3, dtype=np.float32)}
    write_origin(tmp_path / "ours", Origin(found, ("model.",), carried))
    again = read_origin(tmp_path / "ours")
    assert again.files == found and again.prefixes == ("model.",)
    np.testing.assert_array_equal(again.carried["norm.weight"], carried["norm.weight"])


def test_a_file_that_is_too_large_to_be_kept_in_memory_stays_where_it_is(tmp_path):
    with (tmp_path / "corpus.txt").open("wb") as file:
        file.truncate(2**26 + 1)  # a hole: no byte of it is written
    (tmp_path / "config.json").write_text("{}")
    assert list(read_small_files(tmp_path)) == ["config.json"]
