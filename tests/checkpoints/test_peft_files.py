"""The tokenizer, processor and chat template that an adapter was trained with."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import published_folders as published
import pytest
import transformers
from damage import setting

import mllm
from mllm.checkpoints.hf_folder import content_files
from mllm.checkpoints.peft import write_adapter
from mllm.checkpoints.tables import TABLES
from mllm.data.conversation import assistant, user
from mllm.ops.lora import init_lora

TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}[{{ turn['role'] }}] "
    "{% if turn['content'] is string %}{{ turn['content'] }}{% else %}{% for part in "
    "turn['content'] %}{{ part['text'] }}{% endfor %}{% endif %}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    published.write("llava", folder)
    return folder


@pytest.fixture
def adapter(base, tmp_path) -> Path:
    """A folder with an adapter alone."""
    params = mllm.load(base).loaded.variables["params"]
    lora = init_lora(params, jax.random.key(0), rank=2, targets=r"decoder/layers/(q|v)$")
    write_adapter(tmp_path / "adapter", lora, TABLES["llava"], str(base))
    return tmp_path / "adapter"


def trained_with(base: Path, folder: Path, **options) -> transformers.ProcessorMixin:
    """Save a processor into a folder, as trainers do."""
    processor = transformers.AutoProcessor.from_pretrained(base, local_files_only=True)
    for name, value in options.items():
        setattr(processor, name, value)
    processor.save_pretrained(folder)
    return processor


def test_an_adapter_alone_has_the_files_below_it(base, adapter):
    below, found = mllm.load(base).loaded, mllm.load(adapter).loaded
    assert found.origin.files == below.origin.files
    assert found.processor.digest == below.processor.digest
    trained_with(base, adapter)
    found = mllm.load(adapter).loaded
    assert found.processor.digest == below.processor.digest
    np.testing.assert_array_equal(found.config.vision.mean, below.config.vision.mean)


def test_the_chat_template_of_an_adapter_is_its_own(base, adapter, tmp_path):
    theirs = trained_with(base, adapter, chat_template=TEMPLATE)
    turns = [user("Who is it?"), assistant("Ada."), user("Where?")]
    messages = [{"role": t.role, "content": [{"type": "text", "text": t.parts[0]}]} for t in turns]
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    model = mllm.load(adapter)
    ids = model.loaded.processor.encode(turns, generate=True).ids
    assert list(ids) == theirs.tokenizer(expected, add_special_tokens=False)["input_ids"]
    other = mllm.load(base).loaded.processor
    assert list(ids) != list(other.encode(turns, generate=True).ids)
    model.save(tmp_path / "exported", "hf")
    again = transformers.AutoProcessor.from_pretrained(tmp_path / "exported")
    assert again.chat_template == TEMPLATE


def test_the_picture_statistics_of_an_adapter_are_its_own(base, adapter):
    trained_with(base, adapter)
    setting("processor_config.json", "image_processor.image_mean", [0.1, 0.2, 0.3])(adapter)
    assert mllm.load(adapter).loaded.config.vision.mean == (0.1, 0.2, 0.3)
    assert mllm.load(base).loaded.config.vision.mean != (0.1, 0.2, 0.3)


def test_a_broken_file_of_an_adapter_is_named_in_its_folder(base, adapter):
    shutil.copy(base / "tokenizer.json", adapter)
    shutil.copy(base / "tokenizer_config.json", adapter)
    assert mllm.load(adapter).loaded.processor.digest == mllm.load(base).loaded.processor.digest
    (adapter / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match="not a tokenizer") as caught:
        mllm.load(adapter)
    assert str(adapter) in str(caught.value) and str(base) in str(caught.value)


def test_files_of_an_adapter_are_part_of_its_content(base, adapter):
    before = content_files(adapter)
    shutil.copy(base / "tokenizer.json", adapter)
    (adapter / "README.md").write_text("An adapter.")
    (adapter / "trainer_state.json").write_text(json.dumps({}))
    assert set(content_files(adapter)) - set(before) == {"tokenizer.json"}
