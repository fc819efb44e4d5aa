"""Methods that are more than a loss, as runs of a study: what their folders hold, and resuming."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from toy import make_processor, make_source, max_difference

from configs.mllmu import common
from mllm.checkpoints.folder import load_model
from mllm.files import read_json
from mllm.ops.lora import merge_lora
from mllm.studies.stage import Stage
from mllm.studies.train import ensure
from mllm.training.nll import nll
from mllm.unlearning import get_objective

pytestmark = pytest.mark.thorough

METHODS = ("manu", "task_vector", "mmunlearner", "pdu")


def make_config(trainable: str = "lora"):
    config = common.get_config()
    decoder = dict(
        vocab_size=300, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=20
    )
    decoder["remat"] = "auto"  # so a run's cost names its memory
    vision = dict(image_size=16, patch_size=8, width=8, layers=1, heads=1, mlp_width=16)
    config.model = dict(
        family="llava", decoder=decoder, vision=vision, projector=dict(mlp_width=16, width=16)
    )
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=96, supervised=32, answers=4)
    config.vanilla = common.stage(epochs=1, rows=4, warmup=1)
    config.lora.rank = 2
    for name in METHODS:
        config.methods[name].update(trainable=trainable, rows=4, warmup=0, learning_rate=1e-2)
    config.methods.manu.options.share = 0.2
    return config


def stages(config):
    found = [
        Stage("vanilla", ("seed",), schedule=config.vanilla, objective=nll(), examples=examples)
    ]
    for name in METHODS:
        schedule = config.methods[name]
        objective = get_objective(name, **schedule.options)
        keys = ("seed", f"methods.{name}")
        own = dict(schedule=schedule, objective=objective, examples=examples, method=True)
        found.append(Stage(name, keys, parent="vanilla", **own))
    return {stage.name: stage for stage in found}


def examples(benchmark):
    return make_source(16)


SYSTEM = SimpleNamespace(stages=stages, labels=lambda config: {}, part=lambda config: "all")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_processor().save(folder)
    benchmark = SimpleNamespace(tokenizer_path=folder / "tokenizer.json", fingerprint="data")
    workdir = tmp_path_factory.mktemp("study")

    def run(name: str, config=None):
        return ensure(name, config or make_config(), workdir, SYSTEM, benchmark)

    return run


def weights(run) -> dict:
    variables = merge_lora(load_model(run.folder).variables)["params"]
    return jax.tree.map(np.asarray, variables)


@pytest.mark.slow
def test_a_pruned_run_holds_a_decoder_without_some_neurons(study):
    run = study("manu")
    before, after = weights(study("vanilla")), weights(run)
    description = read_json(run.folder / "model.json")
    assert (description["collections"], description["parts"]) == (["params"], ["decoder"])
    record = run.record()
    assert record["cost"]["removed_neurons"] == 4 and record["cost"]["steps"] == 0
    gone = ~after["decoder"]["layers"]["down"]["w"][0].any(axis=1)
    assert gone.sum() == 4
    for name in ("gate", "up"):
        old, new = (tree["decoder"]["layers"][name]["w"][0] for tree in (before, after))
        assert not new[:, gone].any()
        np.testing.assert_array_equal(new[:, ~gone], old[:, ~gone])
    assert max_difference(after["vision"], before["vision"]) == 0
    vanilla = study("vanilla").record()["checkpoint_digest"]
    assert record["checkpoint_digest"] not in ("", vanilla)


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_record_was_written_ends_the_same(study):
    for name in METHODS:
        run = study(name)
        before, record = weights(run), run.record()
        run.write("running", checkpoint_digest=None)
        again = study(name)
        assert again.record()["checkpoint_digest"] == record["checkpoint_digest"]
        jax.tree.map(np.testing.assert_array_equal, weights(again), before)


@pytest.mark.slow
def test_a_task_vector_is_subtracted_in_the_weights_that_are_loaded(study):
    run = study("task_vector")
    assert read_json(run.folder / "model.json")["collections"] == ["lora"]
    steps = run.record()["cost"]["steps"]
    found = sorted(int(path.name) for path in (run.folder / "checkpoints").iterdir())
    assert found == [steps, steps + 1]
    assert max_difference(weights(run), weights(study("vanilla"))) > 1e-3


@pytest.mark.slow
def test_a_saliency_mask_and_a_multiplier_lie_with_their_runs(study):
    masked, bounded = study("mmunlearner"), study("pdu")
    kept = np.load(masked.folder / "salient.npz")
    assert any(name.startswith("lora/decoder/") for name in kept.files)
    record = bounded.record()
    assert record["cost"]["memory"] == record["remat"]["peak"] > 0
    lines = (bounded.folder / "metrics.jsonl").read_text()
    assert '"multiplier"' in lines and '"spread"' in lines
