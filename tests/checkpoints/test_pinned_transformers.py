"""An exported model replies under the transformers that the published scripts pin, as with us.

``make test-slow`` installs that version into an environment of its own, .venv-pinned; the installed
version is held to the same by tests/experiments/test_convert.py.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import toy
from PIL import Image

import mllm
from mllm.data.conversation import image, user

ROOT = Path(__file__).parents[2]
PINNED = Path(os.environ.get("MLLM_PINNED", ROOT / ".venv-pinned/bin/python"))
PROMPT, TOKENS = "USER: <image>\nWho is it?\nASSISTANT:", 8


@pytest.mark.slow
@pytest.mark.skipif(not PINNED.is_file(), reason=f"{PINNED} is not there: run make test-slow")
def test_an_exported_model_replies_as_with_us(tmp_path):
    model, picture = mllm.api.Model(toy.make_model()), tmp_path / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    model.save(tmp_path / "exported", "hf")
    script = ROOT / "tests" / "pinned_generate.py"
    done = subprocess.run(
        [PINNED, script, tmp_path / "exported", picture, PROMPT, str(TOKENS)],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"] == "4.45.1"
    assert found["inputs"] == ["attention_mask", "input_ids", "pixel_values"]
    data, processor = picture.read_bytes(), model.loaded.processor
    assert found["prompt"] == toy.raw_ids(processor, PROMPT, [data])
    (said,) = model.generate([PROMPT], [data], max_new_tokens=TOKENS)
    reply = processor.until_end(found["reply"])
    assert processor.tokenizer.decode(reply, skip_special_tokens=True) == said
    assert found["conversation"] == processor.text([user(image(data), "Who is it?")])
