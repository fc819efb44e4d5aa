"""NPO together with the likelihood of anchors, answer by answer."""

import jax
import numpy as np
import pytest
from packed_rows import draw_answers, pack, token_mean

from mllm.unlearning import get_objective
from mllm.unlearning.roles import ANCHOR, ANCHORED

ROWS = [[0, 1], [2, 3], [4, 5, 6]]


def draw(seed: int):
    """Four answers to forget and three anchors."""
    answers = draw_answers(seed)
    for anchor in answers[4:]:
        anchor.forget = ANCHORED[ANCHOR]
    return answers


def expected(answers, beta, weight):
    margins = np.array([one.logprobs.sum() - one.reference for one in answers[:4]])
    pushed = 2 / beta * np.log1p(np.exp(beta * margins))
    return pushed.mean() - weight * token_mean(answers[4:], "logprobs")


def evaluate(logprobs, batch, **options):
    return get_objective("pava", **options).loss(token_logprobs=logprobs, batch=batch)


@pytest.mark.parametrize(("beta", "weight"), [(0.1, 3.0), (0.7, 0.5)])
def test_value_and_gradient_are_those_of_the_closed_form(beta, weight):
    answers = draw(0)
    logprobs, _, batch = pack(answers, ROWS)
    options = dict(beta=beta, anchor_weight=weight)
    loss, metrics = evaluate(logprobs, batch, **options)
    np.testing.assert_allclose(loss, expected(answers, beta, weight), rtol=1e-5)
    np.testing.assert_allclose(
        metrics["anchor_nll"][0] / metrics["anchor_nll"][1],
        -token_mean(answers[4:], "logprobs"),
        rtol=1e-5,
    )
    gradient = np.asarray(jax.grad(lambda x: evaluate(x, batch, **options)[0])(logprobs))
    for b, row in enumerate(ROWS):
        for k, index in enumerate(row):
            here = (batch["segments"][b] == k + 1) & (batch["loss_mask"][b] == 1)
            answer, slope = answers[index], 0.0
            for step in (1e-5, -1e-5):
                answer.logprobs[0] += step
                slope += expected(answers, beta, weight) / (2 * step)
                answer.logprobs[0] -= step
            np.testing.assert_allclose(gradient[b][here], slope, rtol=1e-4, atol=1e-6)
            # descent lowers what is to be forgotten and raises the anchors
            assert np.sign(slope) == (1 if index < 4 else -1)


def test_anchors_aside_it_is_npo():
    answers = draw(1)
    logprobs, _, batch = pack(answers, ROWS[:2])
    loss, _ = evaluate(logprobs, batch, beta=0.4)
    npo, _ = get_objective("npo", beta=0.4).loss(token_logprobs=logprobs, batch=batch)
    np.testing.assert_allclose(loss, npo, rtol=1e-6)


def test_it_asks_for_anchors_and_for_no_rows_to_retain():
    objective = get_objective("pava")
    assert objective.anchor == ANCHOR and set(objective.roles) == {"forget", ANCHOR}
    assert (objective.rows, objective.reference) == ("joint", "parent")
