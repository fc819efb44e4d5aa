"""CKA against its definition by loops, and what it must be by construction."""

import itertools

import numpy as np
import pytest
from scipy.stats import ortho_group

from mllm.evaluation.alignment import linear_cka, shuffled_cka


def unbiased_hsic(a: np.ndarray, b: np.ndarray) -> float:
    """Song et al. 2012: the U-statistic over all ordered quadruples of different things."""
    k, l = a @ a.T, b @ b.T  # noqa: E741
    total = [
        k[i, j] * (l[i, j] + l[q, r] - 2 * l[i, q])
        for i, j, q, r in itertools.permutations(range(len(a)), 4)
    ]
    return float(np.mean(total))


@pytest.fixture
def draw():
    generator = np.random.default_rng(3)
    return lambda *shape: generator.normal(size=shape)


def test_it_is_the_u_statistic(draw):
    a, b = draw(7, 3) + 2, draw(7, 5)
    b[:, 0] += a[:, 0]
    wanted = unbiased_hsic(a, b) / np.sqrt(unbiased_hsic(a, a) * unbiased_hsic(b, b))
    np.testing.assert_allclose(linear_cka(a, b), wanted, rtol=1e-9)


def test_rotation_scale_and_shift_change_nothing(draw):
    a = draw(30, 6)
    b = 3 * a @ ortho_group.rvs(6, random_state=1) - 5
    np.testing.assert_allclose(linear_cka(a, b), 1, rtol=1e-9)
    c = draw(30, 4)
    np.testing.assert_allclose(linear_cka(a, c), linear_cka(b, c), atol=1e-9)


def test_unrelated_states_give_about_0_and_their_shuffles_alike(draw):
    """Where there are more dimensions than things, and plain CKA would be near 1."""
    values = [linear_cka(draw(20, 200), draw(20, 200)) for _ in range(50)]
    assert abs(np.mean(values)) < 0.02 and np.std(values) < 0.1
    a = draw(20, 8)
    b = a @ draw(8, 50) + 0.1 * draw(20, 50)
    shuffled = shuffled_cka(a, b, 300)
    assert linear_cka(a, b) > 0.5 > np.quantile(shuffled, 0.99) and abs(shuffled.mean()) < 0.05
    np.testing.assert_array_equal(shuffled, shuffled_cka(a, b, 300))


def test_what_it_cannot_compare(draw):
    assert np.isnan(linear_cka(np.ones((5, 2)), draw(5, 2)))
    with pytest.raises(ValueError, match="states of 5 and 6 things"):
        linear_cka(draw(5, 2), draw(6, 2))
    with pytest.raises(ValueError, match="at least 4"):
        linear_cka(draw(3, 2), draw(3, 2))
