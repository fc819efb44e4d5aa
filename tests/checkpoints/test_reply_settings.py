"""A folder's generation_config.json ends and bounds replies as it does in transformers."""

import io
import json

import numpy as np
import published_folders as published
import pytest
import torch
import transformers
from PIL import Image

import mllm

pytestmark = pytest.mark.thorough

PROMPT, TOKENS = "USER: <image>\nWho is it?\nASSISTANT:", 10


def test_replies_are_those_of_transformers_whatever_the_settings(tmp_path):
    theirs = published.write("llava", tmp_path)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    file, rng = io.BytesIO(), np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8))
    image.save(file, "PNG")
    inputs = processor(text=PROMPT, images=[image], return_tensors="pt")
    path = tmp_path / "generation_config.json"

    def decode(ids: list[int]) -> str:
        return processor.tokenizer.decode(ids, skip_special_tokens=True)

    def replies(settings: dict) -> tuple[list[int], str]:
        """Their new ids, our text."""
        path.write_text(json.dumps({"eos_token_id": 2, "pad_token_id": 0} | settings))
        config = transformers.GenerationConfig.from_pretrained(tmp_path)
        options = {"max_new_tokens": TOKENS, "do_sample": False, "tokenizer": processor.tokenizer}
        with torch.no_grad():
            found = theirs.generate(**inputs, generation_config=config, **options)
        (said,) = mllm.load(tmp_path).generate([PROMPT], [file.getvalue()], max_new_tokens=TOKENS)
        return found[0, inputs["input_ids"].shape[1] :].tolist(), said

    free, said = replies({})
    assert len(free) == TOKENS and decode(free) == said
    end, barred = free[4], free[0]
    for ends in ([2, end], [end], end):
        ids, said = replies({"eos_token_id": ends})
        assert ids == free[: free.index(end) + 1]  # theirs holds the end, ours does not
        assert said == decode(ids[:-1])
    for settings in ({"bad_words_ids": [[barred]]}, {"suppress_tokens": [barred, free[1]]}):
        ids, said = replies(settings)
        assert barred not in ids and said == decode(ids)
    text = decode(free)
    stop = next(c for c in text[2:] if c.isascii() and c.isprintable())
    ids, said = replies({"stop_strings": [stop, "never said"]})
    assert stop in decode(ids) and said == decode(ids).partition(stop)[0]
