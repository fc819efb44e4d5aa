"""What a plan says that runs take, computed once for all that share it."""

from functools import partial
from types import SimpleNamespace

import pytest
from toy import make_processor, make_source

from configs import common
from mllm.evaluation.request import Questions
from mllm.studies import estimate
from mllm.studies.estimate import Estimates
from mllm.studies.plan import Plan
from mllm.studies.stage import Stage
from mllm.training.nll import nll
from mllm.unlearning import get_objective

METHODS = {  # what differs of their schedules
    "kl_min": dict(learning_rate=1e-2),
    "scrub": dict(learning_rate=2e-2),
    "npo": dict(rows=2),
    "ga": dict(row_tokens=64),
}
ENCODED = 2  # times: the rows of one method are shorter than all others


def make_config(**overrides):
    config = common.get_config()
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
    config.teaching = common.stage(epochs=2, rows=8)
    config.methods = {
        name: common.stage(trainable="lora", epochs=3, **{"rows": 4, **schedule})
        for name, schedule in METHODS.items()
    }
    config.update_from_flattened_dict(overrides)
    return config


class System:
    """A study of people; it notes how often it was asked for its graph and its questions."""

    def __init__(self):
        self.graphs, self.asked = 0, 0

    def stages(self, config):
        self.graphs += 1
        shared = dict(examples=partial(people, config))
        first = Stage(
            "taught", ("rows", "teaching"), schedule=config.teaching, objective=nll(), **shared
        )
        methods = {
            name: Stage(
                name,
                ("seed", "rows", "lora", f"methods.{name}"),
                parent="taught",
                schedule=schedule,
                objective=get_objective(name),
                method=True,
                **shared,
            )
            for name, schedule in config.methods.items()
        }
        return {"taught": first, **methods}

    def questions(self, config, benchmark, family):
        self.asked += 1
        return Questions(iter([range(config.evaluation.rows)]), {}, list)


def people(config, benchmark):
    return benchmark.people


@pytest.fixture
def benchmark(tmp_path):
    make_processor().save(tmp_path)
    tokenizer = tmp_path / "tokenizer.json"
    return SimpleNamespace(people=make_source(24), tokenizer_path=tokenizer, fingerprint="data")


@pytest.fixture
def plan(benchmark, tmp_path):
    plan = Plan(System(), benchmark)
    for seed in (0, 1):
        for name in METHODS:
            plan.add(name, make_config(seed=seed), tmp_path / f"seed{seed}")
    return plan


def test_the_graph_of_a_study_is_built_once_for_a_run_and_those_it_needs(plan):
    assert plan.system.graphs == 2 * len(METHODS)
    assert len(plan.runs) == 2 * (1 + len(METHODS))


def test_shared_examples_are_encoded_once_and_steps_are_those_of_each_run(
    plan, benchmark, monkeypatch
):
    make, made = estimate.make_pipeline, []

    def noted(*arguments):
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(estimate, "make_pipeline", noted)
    shared = Estimates(benchmark, [])
    found = {place: shared.of(planned) for place, planned in plan.runs.items()}
    assert len(made) == ENCODED
    for place, planned in plan.runs.items():
        assert Estimates(benchmark, []).of(planned) == found[place]  # nothing to share with
        assert made[-1].steps(planned.stage.schedule.epochs) == found[place].steps > 0
    assert len({work.steps for work in found.values()}) > 2


def test_runs_that_differ_in_how_methods_train_are_asked_the_same(plan, benchmark):
    estimates = Estimates(benchmark, [])
    for rows in (7, 8):
        for planned in plan.runs.values():
            config = make_config(**{"evaluation.rows": rows, "objective.name": planned.run.method})
            assert estimates.requests(plan.system, planned, config) == rows
    assert plan.system.asked == 2
