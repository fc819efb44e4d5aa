"""From a Hugging Face folder to an unlearned Hugging Face folder, by the commands of the README."""

import json

import numpy as np
import published_folders as published
import pytest
import torch
import transformers
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow


def test_a_folder_is_unlearned_into_a_folder(commands, micro, tmp_path):
    start, study, end = tmp_path / "start", tmp_path / "study", tmp_path / "end"
    before = published.write("llava", start, text={"max_position_embeddings": 1024})
    options = [
        f"--config.pretrained={start}",
        "--config.rows.tokens=768",
        "--config.rows.supervised=640",
        "--config.base.epochs=0",
        "--config.vanilla.epochs=0",
        "--config.lora.dropout=0.1",
        "--config.objective.name=npo",
    ]
    done = commands.run("unlearn", *micro, *options, "--workdir", study / "npo")
    assert done.returncode == 0, done.stderr
    assert not (study / "pretrained" / "checkpoints").exists()  # it points at the folder
    record = json.loads((study / "npo" / "run.json").read_text())
    assert record["cost"]["trainable"] < record["cost"]["parameters"] / 4
    done = commands.run("convert", "--from", study / "npo", "--to", end, "--verify")
    assert done.returncode == 0, done.stderr
    assert "reply" in done.stdout and "DIFFERS" not in done.stdout
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        assert (end / name).read_bytes() == (start / name).read_bytes()
    after, report = transformers.LlavaForConditionalGeneration.from_pretrained(
        end, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    old, new = before.state_dict(), after.state_dict()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    adapted = [name for name in old if "language_model.layers" in name and "_proj" in name]
    assert moved == set(adapted)
    adapter = tmp_path / "adapter"
    done = commands.run("convert", "--from", study / "npo", "--to", adapter, "--adapter_for", start)
    assert done.returncode == 0, done.stderr
    weights = load_file(adapter / "adapter_model.safetensors")
    assert len(weights) == 2 * len(adapted) and all(np.any(w) for w in weights.values())
    assert json.loads((adapter / "adapter_config.json").read_text())["lora_dropout"] == 0.1
