"""Trials are chosen by the distance that the report ranks by, from validation people alone."""

import itertools

import numpy as np
import pytest

from configs.mllmu import study_tiny
from mllm.benchmarks.mllmu import study
from mllm.benchmarks.mllmu.tuning import CRITERION, DISTANCE, LOST, measure, reads
from mllm.evaluation.ledger import best_of
from mllm.studies.tuning import runs_of_tuning

SETS, MODALITIES = ("forget", "retain", "celebrity"), ("image_text", "text")


def scores(values) -> list[dict]:
    """Scores of multiple choice, values[set][modality], and others that are not read."""
    found = []
    for name, row in zip(SETS, values, strict=True):
        for modality, value in zip(MODALITIES, row, strict=True):
            for task, metric in itertools.product(
                ("classification", "cloze"), ("accuracy_text", "accuracy_letter", "exact")
            ):
                hidden = (task, metric) != ("classification", "accuracy_text")
                found.append(
                    {
                        "set": name,
                        "task": task,
                        "modality": modality,
                        "metric": metric,
                        "value": 0.123 if hidden else value,
                        "n": 40,
                    }
                )
    return [score for score in found if reads(score)]


@pytest.mark.parametrize("seed", range(4))
def test_distance_is_what_differs_from_retain_only_and_what_vanilla_loses(seed):
    rng = np.random.default_rng(seed)
    vanilla, goal, trial = rng.random((3, 3, 2))
    found = measure(scores(trial), {"vanilla": scores(vanilla), "retain_only": scores(goal)})
    lost = max(0.0, vanilla[1:].mean() - trial[1:].mean())
    assert found[LOST] == pytest.approx(lost)
    assert found[DISTANCE] == pytest.approx(abs(trial[0].mean() - goal[0].mean()) + lost)
    assert found["accuracy on validation people"] == pytest.approx(trial[0].mean())


def test_one_that_forgets_too_much_or_loses_utility_is_not_chosen():
    vanilla, goal = [[0.9, 1.0], [0.9, 1.0], [1.0, 1.0]], [[0.2, 0.4], [0.9, 1.0], [1.0, 1.0]]
    anchors = {"vanilla": scores(vanilla), "retain_only": scores(goal)}
    trials = [
        vanilla,  # forgets nothing
        [[0.0, 0.0], [0.9, 1.0], [1.0, 1.0]],  # knows less than a model that never saw them
        [[0.2, 0.4], [0.1, 0.2], [0.3, 0.3]],  # loses the rest
        [[0.3, 0.3], [0.9, 0.9], [1.0, 1.0]],
    ]
    measured = [measure(scores(trial), anchors) for trial in trials]
    assert best_of(measured, CRITERION.decides) == 3
    assert measure(scores(goal), anchors)[DISTANCE] == 0


def test_a_set_that_was_not_asked_is_named():
    found = scores([[0.5, 0.5]] * 3)
    missing = [{**score, "value": None} if score["set"] == "retain" else score for score in found]
    with pytest.raises(ValueError, match="no accuracy_text on retain"):
        measure(missing, {"vanilla": found, "retain_only": found})


def test_a_trial_asks_validation_people_and_measures_nothing_that_is_not_read():
    config = study_tiny.get_config()
    assert config.evaluation.measures and not config.tuning
    for overrides in runs_of_tuning(config, list(study_tiny.trials(config)), study):
        chosen = config.copy_and_resolve_references()
        chosen.update_from_flattened_dict(overrides)
        assert chosen.tuning and chosen.evaluation.asks == "options"
        assert not (chosen.evaluation.measures or chosen.evaluation.gradients)
        assert not (chosen.evaluation.likelihood or chosen.evaluation.judges)
