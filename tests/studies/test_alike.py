"""Which runs may be trained as one program."""

import pytest

from configs.mllmu import tiny
from mllm.benchmarks.mllmu import study
from mllm.studies.alike import frame_of, same_examples


def frame(name: str = "npo", **overrides):
    config = tiny.get_config()
    config.objective.name = name
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in overrides.items()})
    return frame_of(study.stages(config)[name], config)


def test_rates_options_and_seeds_may_differ():
    changes = (
        dict(methods__npo__learning_rate=0.5),
        dict(methods__npo__warmup=7),
        dict(methods__npo__options__beta=2.0),
        dict(seed=3),
        dict(objective__variant="other"),
    )
    assert frame() is not None
    assert all(frame(**change) == frame() for change in changes)


def test_methods_that_see_the_same_rows_are_alike():
    assert frame("ga") == frame("simnpo") == frame("undial")
    assert frame("grad_diff") == frame("kl_min") == frame("scrub")
    # other rows, a reference, refusals, a layer
    assert len({repr(frame(name)) for name in ("ga", "grad_diff", "npo", "idk", "rmu", "dpo")}) == 6


@pytest.mark.parametrize(
    "change",
    [
        dict(methods__npo__epochs=2),
        dict(methods__npo__rows=8),
        dict(methods__npo__clip=0.5),
        dict(methods__npo__options__retain_weight=1.0),  # then rows to retain are read too
        dict(benchmark__forget=5),
        dict(benchmark__modality="text"),
        dict(lora__rank=4),
        dict(checkpoint_every=5),
    ],
)
def test_what_else_differs_makes_another_program(change):
    assert frame(**change) is not None
    assert frame(**change) != frame()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("npo", dict(methods__npo__trainable="params")),
        ("npo", dict(methods__npo__accumulation=2)),
        ("npo", dict(methods__npo__epochs=0)),
        ("npo", dict(lora__dropout=0.1)),
        ("vanilla", {}),
        ("base", {}),
        ("prompting", {}),
    ],
)
def test_some_runs_are_trained_alone(name, change):
    assert frame(name, **change) is None


@pytest.mark.parametrize("name", ["task_vector", "pdu", "mmunlearner"])
def test_an_objective_that_does_more_than_follow_its_gradient_is_trained_alone(name):
    assert frame(name) is None


def test_examples_are_compared_in_order():
    assert same_examples(["a", "b"], ("a", "b"))
    assert not same_examples(["a", "b"], ["b", "a"])
    assert not same_examples(["a"], ["a", "b"])
