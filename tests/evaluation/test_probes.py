"""Probes: the optimum of their loss, and what they read by construction."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mllm.evaluation.probes import Scaling, right, train_probe

LABELS = ["bird", "rain", "engine"]


def clouds(seed: int, count: int = 40, spread: float = 0.3):
    """States float[3 count, 5] around a centre for each label, and their labels."""
    generator = np.random.default_rng(seed)
    centres = 2 * np.eye(3, 5)
    states = centres.repeat(count, 0) + spread * generator.normal(size=(3 * count, 5))
    return states, [label for label in LABELS for _ in range(count)]


def test_a_probe_is_the_optimum_of_its_loss():
    """Against the loss minimised by scipy, and against scikit-learn's own pipeline."""
    states, labels = clouds(0, 20, 1.5)
    probe = train_probe(states, labels)
    scaled = (states - states.mean(0)) / states.std(0)
    kinds = sorted(LABELS)
    places = [kinds.index(label) for label in labels]

    def loss(flat):
        weights, bias = flat[:15].reshape(5, 3), flat[15:]
        said = log_softmax(scaled @ weights + bias, axis=1)
        return -said[range(len(places)), places].sum() + (weights**2).sum() / 2

    best = minimize(loss, np.zeros(18), method="BFGS").x
    np.testing.assert_allclose(probe.regression.coef_.T, best[:15].reshape(5, 3), atol=2e-3)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    held, _ = clouds(1, 20, 1.5)
    assert probe.predict(held) == pipeline.fit(states, labels).predict(held).tolist()


def test_a_shift_between_kinds_matters_unless_each_is_scaled_by_itself():
    states, labels = clouds(0)
    probe = train_probe(states, labels)
    held, same = clouds(1)
    assert right(probe, held, same).mean() == 1
    moved = 3 * held + np.array([40.0, -40, 0, 9, 0])
    assert right(probe, moved, same).mean() < 0.5
    assert right(probe, moved, same, own=True).mean() == 1


def test_labels_at_random_are_not_read():
    _, labels = clouds(0, 60)
    noise = np.random.default_rng(1).normal(size=(180, 5))
    assert abs(right(train_probe(noise, labels), noise[::-1], labels).mean() - 1 / 3) < 0.15


def test_dimensions_that_do_not_vary_say_nothing():
    states, labels = clouds(0)
    flat = np.concatenate([states, np.full((len(states), 2), 7.0)], axis=1)
    assert np.isfinite(Scaling.of(flat)(flat)).all()
    other = flat + np.array([0] * 5 + [1e6, -1e6])
    assert train_probe(flat, labels).predict(flat) == train_probe(flat, labels).predict(other)


def test_what_it_cannot_learn_from():
    states, labels = clouds(0)
    with pytest.raises(ValueError, match="120 states with 119 labels of 3 kinds"):
        train_probe(states, labels[1:])
    with pytest.raises(ValueError, match="at least 2 kinds"):
        train_probe(states, ["bird"] * len(states))
