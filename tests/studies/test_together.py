"""Runs that are trained as one program against the same runs, each trained by itself."""

import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from toy import make_processor, make_source

from configs import common
from mllm.checkpoints.folder import load_model
from mllm.data.pipeline import Pipeline
from mllm.files import read_json, read_jsonl
from mllm.studies.stage import Stage
from mllm.studies.together import ensure_together
from mllm.studies.train import ensure
from mllm.training.diverged import Diverged
from mllm.training.nll import nll
from mllm.unlearning import get_objective

pytestmark = pytest.mark.thorough

OPTIONS = {
    "kl_min": dict(retain_weight=1.0),
    "scrub": dict(kl_weight=0.5),
    "npo": dict(beta=0.5, retain_weight=1.0, keep="kl"),
}
# Rates, options, objectives and seeds differ within a group; NPO reads a reference besides.
RUNS = {
    "kl_min_slow": {"methods.kl_min.learning_rate": 1e-3},
    "npo_blunt": {},
    "scrub_other": {},
    "npo_sharp": {
        "methods.npo.learning_rate": 1e-2,
        "methods.npo.warmup": 2,
        "methods.npo.options.beta": 2.0,
    },
    "kl_min_seeded": {"seed": 1},
}
GROUPS = (("kl_min_slow", "scrub_other", "kl_min_seeded"), ("npo_blunt", "npo_sharp"))


def make_configs() -> dict:
    config = common.get_config()
    config.benchmark.name = "people"
    config.model = dict(
        family="llava",
        decoder=dict(
            vocab_size=300, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=16
        ),
        vision=dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=16),
        projector=dict(mlp_width=16, width=16),
    )
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=96, supervised=32, answers=5)
    config.lora.update(rank=2)
    config.teaching = common.stage(epochs=1, rows=8, warmup=1)
    config.methods = {}
    for name, options in OPTIONS.items():
        method = common.stage(trainable="lora", epochs=3, rows=4, learning_rate=3e-3, clip=0.5)
        config.methods[name] = {**method.to_dict(), "options": options}
    config.together, config.checkpoint_every, config.log_every = 3, 2, 2
    configs = {}
    for run, overrides in RUNS.items():
        name, _, variant = run.rpartition("_")
        configs[run] = config.copy_and_resolve_references()
        names = {"objective.name": name, "objective.variant": variant}
        configs[run].update_from_flattened_dict({**names, **overrides})
    return configs


def stages(config):
    found = [
        Stage(
            "taught",
            ("model", "rows", "teaching"),  # one base for all seeds
            schedule=config.teaching,
            objective=nll(),
            examples=lambda benchmark: benchmark.people,
        )
    ]
    for name, schedule in config.methods.items():
        found.append(
            Stage(
                name,
                ("seed", "rows", "lora", f"methods.{name}"),
                parent="taught",
                schedule=schedule,
                objective=get_objective(name, **schedule.options),
                examples=lambda benchmark: benchmark.people,
                folder=f"{name}_{config.objective.variant}",
                method=True,
            )
        )
    return {stage.name: stage for stage in found}


SYSTEM = SimpleNamespace(
    AXES=(), stages=stages, labels=lambda config: {}, part=lambda config: "all"
)


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_processor().save(folder)
    tokenizer = folder / "tokenizer.json"
    return SimpleNamespace(people=make_source(24), tokenizer_path=tokenizer, fingerprint="data")


def study_of(workdir, config):
    return workdir / f"seed{config.seed}"


def begin(workdir, taught) -> None:
    for seed in (0, 1):
        shutil.copytree(taught, workdir / f"seed{seed}" / "taught", dirs_exist_ok=True)


@pytest.fixture(scope="module")
def taught(benchmark, tmp_path_factory):
    config = make_configs()["npo_blunt"]
    return ensure("taught", config, tmp_path_factory.mktemp("base"), SYSTEM, benchmark).folder


@pytest.fixture(scope="module")
def apart(taught, benchmark, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("apart")
    begin(workdir, taught)
    for config in make_configs().values():
        ensure(config.objective.name, config, study_of(workdir, config), SYSTEM, benchmark)
    return folders(workdir)


def train_all(workdir, benchmark) -> None:
    """Make all runs in order, as a sweep does."""
    configs = list(make_configs().values())
    studies = [study_of(workdir, config) for config in configs]
    for number, config in enumerate(configs):
        ensure_together(configs[number:], studies[number:], SYSTEM, benchmark)
        ensure(config.objective.name, config, studies[number], SYSTEM, benchmark)


@pytest.fixture(scope="module")
def joined(taught, benchmark, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("joined")
    begin(workdir, taught)
    train_all(workdir, benchmark)
    return folders(workdir)


def folders(workdir) -> dict:
    return {name: study_of(workdir, one) / name for name, one in make_configs().items()}


def adapter(folder) -> list:
    return jax.tree.leaves(load_model(folder).variables["lora"])


def test_runs_of_the_same_rows_were_one_program(joined):
    for group in GROUPS:
        records = [read_json(joined[name] / "run.json") for name in group]
        assert [record["cost"]["together"] for record in records] == [len(group)] * len(group)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_trained_with_others_is_the_run_trained_alone(apart, joined, name):
    alone, among = apart[name], joined[name]
    for expected, found in zip(adapter(alone), adapter(among), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)
    records = [read_json(folder / "run.json") for folder in (alone, among)]
    assert records[0]["identity"] == records[1]["identity"]
    assert records[0]["made_from"] == records[1]["made_from"]
    lines = [read_jsonl(folder / "metrics.jsonl") for folder in (alone, among)]
    assert len(lines[0]) == len(lines[1]) > 2
    varying = ("time", "seconds", "tokens_per_second")
    for expected, found in zip(*lines, strict=True):
        assert list(found) == list(expected)
        for key in expected.keys() - set(varying):
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RUNS)
def test_the_folders_hold_the_same_files(apart, joined, name):
    def files(folder):
        skipped = {"tensorboard", "d"}  # files whose names are new each time
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {str(path) for path in found if not skipped & set(path.parts)}

    def described(folder):
        found = read_json(folder / "model.json")
        del found["parent"]["absolute"]
        return found

    assert files(joined[name]) == files(apart[name])
    assert described(joined[name]) == described(apart[name])


def test_the_runs_differ_from_each_other(joined):
    found = [np.concatenate([leaf.ravel() for leaf in adapter(joined[name])]) for name in RUNS]
    for i, one in enumerate(found):
        assert all(np.abs(one - other).max() > 1e-4 for other in found[:i])


def test_a_run_that_diverges_leaves_the_others_and_is_not_trained_again(
    taught, apart, benchmark, tmp_path
):
    begin(tmp_path, taught)
    configs = [make_configs()[name] for name in ("npo_blunt", "npo_sharp")]
    configs[1].methods.npo.learning_rate = 1e30
    studies = [tmp_path / "seed0"] * 2
    ensure_together(configs, studies, SYSTEM, benchmark)
    ensure("npo", configs[0], studies[0], SYSTEM, benchmark)
    for expected, found in zip(
        adapter(apart["npo_blunt"]), adapter(studies[0] / "npo_blunt"), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=2e-5)
    record = read_json(studies[1] / "npo_sharp" / "run.json")
    assert record["status"] == "diverged" and "nan at step" in record["diverged"]
    written = len(read_jsonl(studies[1] / "npo_sharp" / "metrics.jsonl"))
    with pytest.raises(Diverged, match=r"npo_sharp: its loss is nan .* delete the folder"):
        ensure("npo", configs[1], studies[1], SYSTEM, benchmark)
    assert len(read_jsonl(studies[1] / "npo_sharp" / "metrics.jsonl")) == written


@pytest.mark.slow
def test_stopped_runs_go_on_together_to_the_same_bits(
    taught, joined, benchmark, tmp_path, monkeypatch
):
    batch_at = Pipeline.batch_at

    def stopping(self, step, shape=None):
        if step == 3:
            raise KeyboardInterrupt
        return batch_at(self, step, shape)

    begin(tmp_path, taught)
    monkeypatch.setattr(Pipeline, "batch_at", stopping)
    with pytest.raises(KeyboardInterrupt):
        train_all(tmp_path, benchmark)
    monkeypatch.undo()
    stopped = folders(tmp_path)
    assert [(folder / "checkpoints" / "2").is_dir() for folder in stopped.values()] == [
        name in GROUPS[0] for name in RUNS
    ]
    train_all(tmp_path, benchmark)
    for name in RUNS:
        records = [read_json(found[name] / "run.json") for found in (joined, stopped)]
        assert records[0]["checkpoint_digest"] == records[1]["checkpoint_digest"]
