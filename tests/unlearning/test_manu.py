"""Which neurons are removed, against sums over drawn activations neuron by neuron."""

import jax.numpy as jnp
import numpy as np
import pytest

from mllm.unlearning import get_objective

LAYERS, NEURONS = 3, 20
RNG = np.random.default_rng(0)


def draw(tokens: int) -> np.ndarray:
    scale = RNG.exponential(size=(LAYERS, 1, NEURONS))
    return (RNG.normal(size=(LAYERS, tokens, NEURONS)) * scale + 0.3).astype("float32")


DRAWN = {role: {"media": draw(40), "text": draw(25)} for role in ("forget", "retain")}


def means(objective, drawn=DRAWN):
    return {
        role: {
            kind: {
                name: np.asarray(of(jnp.asarray(z))).mean(1)
                for name, of in objective.activity.items()
            }
            for kind, z in kinds.items()
        }
        for role, kinds in drawn.items()
    }


def importance(kinds, layer, neuron, loud):
    m, t = (kinds[kind][layer, :, neuron].astype("float64") for kind in ("media", "text"))
    total = 0.0
    for of in (lambda z: np.abs(z).mean(), lambda z: (np.abs(z) > loud).mean()):
        total += abs(of(m) - of(t)) / (of(m) + of(t))
    total += np.sqrt(m.var() + t.var())
    square = lambda z: (z**2).mean()  # noqa: E731
    return total + np.sqrt(abs(square(m) - square(t)) / (square(m) + square(t)))


def largest(scores: np.ndarray, count: int) -> np.ndarray:
    chosen = np.zeros(scores.shape, bool)
    for _ in range(count):
        place = np.unravel_index(np.where(chosen, -np.inf, scores).argmax(), scores.shape)
        chosen[place] = True
    return chosen


@pytest.mark.parametrize(("share", "count"), [(0.05, 3), (0.1, 6), (0.001, 1)])
def test_the_largest_ratios_are_removed(share, count):
    objective = get_objective("manu", share=share, loud=0.25)
    scores = np.zeros((LAYERS, NEURONS))
    for place in np.ndindex(LAYERS, NEURONS):
        forget, retain = (importance(DRAWN[role], *place, 0.25) for role in ("forget", "retain"))
        scores[place] = forget / retain
    np.testing.assert_array_equal(objective.prune(means(objective)), largest(scores, count))


def test_the_released_score_is_on_text_alone_and_of_the_last_layers():
    objective = get_objective("manu", share=0.1, layers=2, form="released")
    f, r = (DRAWN[role]["text"].astype("float64") for role in ("forget", "retain"))
    scores = 0
    for of in (
        lambda z: np.abs(z).mean(1),
        lambda z: z.std(1),
        lambda z: np.sqrt((z**2).mean(1)),
    ):
        scores = scores + 2 * (of(f) / (of(r) + 1e-5) - 1)
    expected = np.zeros((LAYERS, NEURONS), bool)
    expected[1:] = largest(scores[1:], 4)
    np.testing.assert_array_equal(objective.prune(means(objective)), expected)
    only = {role: {"media": kinds["text"]} for role, kinds in DRAWN.items()}
    np.testing.assert_array_equal(objective.prune(means(objective, only)), expected)


def test_what_only_pictures_of_people_to_forget_wake_is_removed_first():
    text = DRAWN["forget"]["text"]
    quiet = {role: {"media": text.copy(), "text": text} for role in DRAWN}
    quiet["forget"]["media"][1, :, 7] *= 50
    objective = get_objective("manu", share=0.001)
    assert np.argwhere(objective.prune(means(objective, quiet))).tolist() == [[1, 7]]


def test_without_a_kind_of_rows_it_counts_as_silent():
    only = {role: {"text": kinds["text"]} for role, kinds in DRAWN.items()}
    objective = get_objective("manu", share=0.05)
    text = {role: kinds["text"].astype("float64") for role, kinds in only.items()}
    scores = (3 + text["forget"].std(1)) / (3 + text["retain"].std(1))
    np.testing.assert_array_equal(objective.prune(means(objective, only)), largest(scores, 3))
