"""A study whose first stage teaches the autoencoder of a model, and whose second its decoder."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_processor, max_difference, png

from configs import common
from mllm.checkpoints.folder import load_model
from mllm.data.conversation import Example, assistant, user
from mllm.data.singles import Singles
from mllm.evaluation.codec import Codec
from mllm.files import read_json
from mllm.models import interleaved
from mllm.studies.stage import Stage
from mllm.studies.train import ensure
from mllm.training.autoencoder import autoencoder
from mllm.training.nll import nll

pytestmark = pytest.mark.slow


def make_config():
    config = common.get_config()
    config.model = dict(
        family="interleaved",
        codec=dict(
            image_size=16,
            patch_size=8,
            width=16,
            layers=1,
            generator_layers=1,
            heads=2,
            mlp_width=32,
            codes=12,
            code_width=4,
        ),
        decoder=dict(
            vocab_size=340, width=32, layers=1, heads=2, kv_heads=1, head_dim=16, mlp_width=48
        ),
        dtype="float32",
    )
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=48, supervised=24, answers=1)
    views = dict(augment="gentle", trainable="codec", warmup=2)
    config.tokeniser = common.stage(epochs=4, rows=4, **views)
    config.drawer = common.stage(epochs=2, rows=4, trainable="decoder", warmup=2)
    config.update(checkpoint_every=3, log_every=2)
    return config


class System:
    def stages(self, config):
        keys = ("seed", "model", "processor")
        tokeniser = Stage(
            "tokeniser",
            (*keys, "tokeniser"),
            schedule=config.tokeniser,
            objective=autoencoder(),
            examples=lambda benchmark: benchmark.shown,
        )
        drawer = Stage(
            "drawer",
            (*keys, "rows", "drawer"),
            parent="tokeniser",
            schedule=config.drawer,
            objective=nll(),
            examples=lambda benchmark: benchmark.said,
        )
        return {stage.name: stage for stage in (tokeniser, drawer)}

    def labels(self, config):
        return {}

    def part(self, config):
        return "all"


@dataclass
class Benchmark:
    shown: list[Example]
    said: list[Example]
    tokenizer_path: object
    fingerprint: str = "data"


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_processor().save(folder)
    rng = np.random.default_rng(0)
    media = [
        png(Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize((16, 16)))
        for _ in range(10)
    ]
    shown = [Example(str(n), str(n), (user(medium),)) for n, medium in enumerate(media)]
    said = [Example(str(n), str(n), (user(f"Who is {n}?"), assistant("Ada"))) for n in range(8)]
    return Benchmark(shown, said, folder / "tokenizer.json")


def made(name, folder, benchmark):
    return ensure(name, make_config(), folder, System(), benchmark)


@pytest.fixture(scope="module")
def study(benchmark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return made("tokeniser", folder, benchmark), made("drawer", folder, benchmark)


def test_each_stage_trains_its_part_and_takes_the_rest_from_its_parent(study):
    tokeniser, drawer = (load_model(run.folder) for run in study)
    fresh = interleaved.init(tokeniser.config, jax.random.key(0))["params"]
    first, second = tokeniser.variables["params"], drawer.variables["params"]
    assert max_difference(first["codec"], fresh["codec"]) > 1e-3
    assert max_difference(second["codec"], first["codec"]) == 0
    assert max_difference(second["decoder"], first["decoder"]) > 1e-3
    parts = [read_json(run.folder / "model.json")["parts"] for run in study]
    assert parts[1] == ["decoder"]
    records = [run.record() for run in study]
    assert records[1]["parent"] == "../tokeniser"
    assert records[1]["made_from"]["parents"] == {"tokeniser": tokeniser.digest()}
    assert records[0]["checkpoint_digest"] == tokeniser.digest()
    assert records[0]["cost"]["steps"] == 12 and records[0]["cost"]["tokens"] == 40


def test_the_codec_of_both_stages_is_the_same(study, benchmark):
    media = [turn.media[0] for example in benchmark.shown for turn in example.turns]
    codes = [Codec(load_model(run.folder)).encode(media) for run in study]
    np.testing.assert_array_equal(*codes)


def test_a_stage_that_was_stopped_ends_with_the_same_weights(
    study, benchmark, tmp_path, monkeypatch
):
    batch_at = Singles.batch_at

    def stopped(self, step):
        if step == 8:
            raise KeyboardInterrupt
        return batch_at(self, step)

    monkeypatch.setattr(Singles, "batch_at", stopped)
    with pytest.raises(KeyboardInterrupt):
        made("tokeniser", tmp_path, benchmark)
    assert made_steps(tmp_path / "tokeniser") == [3, 6]
    monkeypatch.undo()
    again = made("tokeniser", tmp_path, benchmark)
    assert again.record()["checkpoint_digest"] == study[0].record()["checkpoint_digest"]


def made_steps(folder):
    return sorted(int(path.name) for path in (folder / "checkpoints").iterdir())
