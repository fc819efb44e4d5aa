"""The published recipe adapts the modules that PEFT adapts for the published code."""

import re

import jax
import peft
import published_folders as published
import pytest
from safetensors.numpy import load_file

from configs.mllmu import idefics2_paper, llava7b_paper
from mllm.checkpoints.hf_folder import read_folder
from mllm.checkpoints.peft import write_adapter
from mllm.checkpoints.tables import TABLES
from mllm.ops.lora import init_lora

LLAVA = llava7b_paper.TARGETS
TARGETS = {"llava": LLAVA, "llava_next": LLAVA, "idefics2": idefics2_paper.TARGETS}
# Last components of the Linear modules outside multi_modal_projector and vision_model, lm_head left
# out (specification of the published find_all_linear_names).
EXCLUDED = ("multi_modal_projector", "vision_model", "vision_tower", "lm_head")


@pytest.mark.thorough
@pytest.mark.parametrize("family", TARGETS)
def test_targets(family, tmp_path):
    model = published.write(family, tmp_path / "model")
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if type(module).__name__ == "Linear" and not any(word in name for word in EXCLUDED)
    }
    loaded = read_folder(tmp_path / "model")
    lora = init_lora(loaded.variables["params"], jax.random.key(0), rank=2, targets=TARGETS[family])
    write_adapter(tmp_path / "ours", lora, TABLES[family], "model")
    config = peft.LoraConfig(r=2, target_modules=sorted(linear))
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "theirs")
    ours, theirs = (
        {module(name) for name in load_file(tmp_path / folder / "adapter_model.safetensors")}
        for folder in ("ours", "theirs")
    )
    if family.startswith(
        "llava"
    ):  # of the layers that are not run theirs has adapters too: they stay zero
        last = str(published.VISION["num_hidden_layers"] - 1)
        theirs -= {("vision", last, name, leaf) for name in ("q", "k", "v") for leaf in "AB"}
    assert ours == theirs


def module(name: str) -> tuple[str, ...]:
    """(tower, layer, matrix, leaf) of a tensor, whatever versions of transformers put between."""
    parts = ("vision", "perceiver", "modality_projection")
    tower = next((part for part in parts if part in name), "decoder")
    layer = re.search(r"layers\.(\d+)\.", name)
    matrix, leaf = re.search(r"(\w+)_proj\.lora_([AB])\.weight$", name).groups()
    return tower, layer[1] if layer else "", matrix, leaf
