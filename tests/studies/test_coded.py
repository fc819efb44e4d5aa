"""A model that reads pictures as codes is taught on codes: its examples hold no pictures."""

import json
from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from toy import make_drawer, make_model, png

from configs.common import stage
from mllm.checkpoints.folder import load_model, save_model
from mllm.data.conversation import Example, assistant, code_ids, image, user
from mllm.evaluation.codec import Codec
from mllm.evaluation.request import Picture, Request
from mllm.evaluation.runner import LocalModel
from mllm.models import config_to_dict, interleaved, llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.ops.lora import init_lora
from mllm.ops.quant import quantise
from mllm.studies.coded import TOGETHER, in_codes
from mllm.studies.examples import make_pipeline
from mllm.studies.start import described_model
from mllm.training import optimizers, state
from mllm.training.nll import nll
from mllm.training.step import make_train_step

COUNT = 2 * TOGETHER + 3
CONFIG = ConfigDict({"rows": dict(tokens=96, supervised=32, answers=4)})


@pytest.fixture(scope="module")
def model():
    return make_drawer()


@pytest.fixture(scope="module")
def source():
    """Two pictures, and the third that follows from them."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    pictures = [png(Image.fromarray(one)) for one in pixels]
    return [
        Example(
            str(n),
            "c",
            (user("red: ", pictures[n % 5], "blue: "), assistant(pictures[(n + 1) % 5])),
        )
        for n in range(COUNT)
    ]


def test_codes_take_the_place_of_pictures_and_are_those_of_the_codec(model, source, monkeypatch):
    asked = []
    encode = Codec.encode

    def seen(self, media, *arguments):
        asked.append(len(media))
        return encode(self, media, *arguments)

    monkeypatch.setattr(Codec, "encode", seen)
    coded = in_codes(source, model)
    found = list(coded)
    assert len(coded) == COUNT and asked == [5, 5, 4]  # each picture once for many examples
    expected = encode(Codec(model), [m for e in source for t in e.turns for m in t.media])
    shown = [m for e in found for t in e.turns for m in t.media]
    assert {medium.kind for medium in shown} == {"codes"}
    np.testing.assert_array_equal(list(map(code_ids, shown)), expected)
    assert [e.turns[0].parts[0] for e in found] == ["red: "] * COUNT
    assert found[-1].id == coded[COUNT - 1].id == str(COUNT - 1)


def test_batches_hold_the_codes_and_teach_the_answer(model, source):
    pipeline = make_pipeline(CONFIG, stage(rows=4), model, source, nll(), 0)
    assert pipeline.pictures is None
    batch = pipeline.batch_at(0)
    assert "media" not in batch
    first, end = model.processor.code_range
    answers = batch["answers"]
    codes = {m.digest: row for e in source for m, row in zip(e.turns[1].media, [0], strict=True)}
    assert len(codes) == 5
    for row in range(len(answers)):
        places = batch["targets"][row]
        places = places[places < batch["tokens"].shape[1]]
        segments = batch["segments"][row, places]
        for number in np.unique(segments):
            learned = batch["tokens"][row, places[segments == number]]
            example = source[int(answers[row, number - 1])]
            said = Codec(model).encode(example.turns[1].media)[0]
            drawn = learned[(learned >= first) & (learned < end)] - first
            np.testing.assert_array_equal(drawn, said)
    taught = batch["loss_mask"].sum()
    assert 0 < taught < (batch["segments"] >= 0).sum()


@pytest.mark.thorough
def test_what_is_taught_is_drawn(model, source):
    """From the shots and the query, the codes of the right picture, after words and without."""
    words = (user("Say it."), assistant("A picture. ", *source[0].turns[1].parts))
    taught = [*source[:5], replace(source[0], turns=words)]
    pipeline = make_pipeline(CONFIG, stage(rows=6), model, taught, nll(), 0)
    rate = optimizers.Schedule(peak=1e-2, steps=70, warmup=5, decay="cosine")
    optimizer = optimizers.make_optimizer("adamw", rate, clip=1.0)
    step = make_train_step(model.model, model.config, nll(), optimizer)
    codec = model.variables["params"]["codec"]
    params = {"decoder": interleaved.init(model.config, jax.random.key(1))["params"]["decoder"]}
    now, frozen = state.create({"params": params}, optimizer), {"params": {"codec": codec}}
    for number in range(70):
        now, _ = step(now, frozen, pipeline.batch_at(number))
    variables = {"params": {"codec": codec, **now.trainable["params"]}}
    trained = LocalModel(replace(model, variables=variables))
    asked = [Picture(temperature=0.0, words="A picture. " * (n == 5)) for n in range(6)]
    requests = [
        Request(str(n), "c", {}, example.turns[:1], ask)
        for n, (example, ask) in enumerate(zip(taught, asked, strict=True))
    ]
    drawn = {reply.key: reply for lot in trained.answer(requests, set()) for reply in lot}
    right = Codec(model).encode([example.turns[1].media[0] for example in taught])
    assert [drawn[str(n)].extra["codes"] for n in range(6)] == right.tolist()
    assert drawn["0"].media == image(Codec(model).decode(right[:1])[0])


def test_a_plan_without_weights_packs_alike(model, source):
    with_weights = make_pipeline(CONFIG, stage(rows=4), model, source, nll(), 0)
    planned = make_pipeline(CONFIG, stage(rows=4), replace(model, variables={}), source, nll(), 0)
    lengths = [[len(e.ids) for e in pipeline.examples] for pipeline in (with_weights, planned)]
    assert lengths[0] == lengths[1]
    assert with_weights.steps(1) == planned.steps(1)


def test_other_models_read_pictures(source):
    assert in_codes(source, make_model(0)) is source


def test_a_new_model_gets_the_tokens_of_its_codes(model, tmp_path):
    tokenizer = make_model(0).processor.tokenizer
    (tmp_path / "tokenizer.json").write_text(tokenizer.to_str())
    section = json.loads(json.dumps(config_to_dict(model.family, model.config)))
    config = ConfigDict({"processor": dict(chat_format="inline", image_size=64), "model": section})
    benchmark = type("Benchmark", (), {"tokenizer_path": tmp_path / "tokenizer.json"})
    described = described_model(config, benchmark)
    assert described.processor.code_range == (300, 324)
    assert described.processor.config.codes == model.processor.config.codes
    assert described.processor.config.image_size == 16
    config.model.decoder.vocab_size = 320
    with pytest.raises(ValueError, match=r"decoder\.vocab_size is 320, expected 326 or more"):
        described_model(config, benchmark)


def test_a_saved_model_draws_as_before(model, tmp_path, source):
    save_model(tmp_path, model)
    again = load_model(tmp_path)
    assert again.processor.digest == model.processor.digest
    media = source[0].turns[0].media
    np.testing.assert_array_equal(Codec(again).encode(media), Codec(model).encode(media))
    assert Codec(again).decode([[1, 2, 3, 4]]) == Codec(model).decode([[1, 2, 3, 4]])


def test_published_adapters_of_seed_llama_have_their_sizes():
    """At the sizes of its 14B: rank 64 on q, k, v and o of all 40 layers of width 5120."""
    shape = DecoderConfig(40_194, 5120, 40, 40, 40, 128, 13_824, tied=False)
    config = LlavaConfig(shape, vision=None, projector=None, dtype="bfloat16")
    params = llava.abstract(config)["params"]
    assert params["decoder"]["head"].shape == (5120, 40_194)
    targets = r"decoder/layers/(q|k|v|o)$"
    adapter = partial(init_lora, rank=64, targets=targets, alpha=16)
    found = jax.eval_shape(adapter, params, jax.random.key(0))
    assert set(found["decoder"]["layers"]) == set("qkvo")
    assert sum(leaf.size for leaf in jax.tree.leaves(found)) == 4 * 40 * 2 * 5120 * 64
    adapter = partial(init_lora, rank=16, targets=r"decoder/layers/\w+$", alpha=32)
    found = jax.eval_shape(adapter, params, jax.random.key(0))["decoder"]["layers"]
    assert set(found) == {*"qkvo", "gate", "up", "down"}


def test_int8_leaves_the_autoencoder(model):
    done = quantise(model.variables)["params"]
    assert done["codec"] is model.variables["params"]["codec"]
    assert done["decoder"]["layers"]["q"]["w"].dtype == np.int8
