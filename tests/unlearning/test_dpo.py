"""Preference for refusals against a loop over pairs, however they are packed."""

import jax
import numpy as np
import pytest
from packed_rows import Answer, draw_answers, pack

from mllm.unlearning import get_objective
from mllm.unlearning.roles import PAIRED, REFUSAL

TWINS = {0: 7, 1: 8, 2: 9, 3: 10}  # of the four answers to forget
ROWS = [[0, 1], [7, 8], [2, 3], [9], [10], [4, 5, 6]]


def draw(seed: int) -> list[Answer]:
    answers = draw_answers(seed)
    refusals = draw_answers(seed + 100)[:4]
    for refusal in refusals:
        refusal.forget = PAIRED[REFUSAL]
    return answers + refusals


def packed(answers, rows):
    logprobs, _, batch = pack(answers, rows)
    batch["twins"] = np.vectorize(lambda n: TWINS.get(n, -1))(batch["answers"]).astype("int32")
    return logprobs, batch


def expected(answers, beta):
    margins = [answer.logprobs.sum() - answer.reference for answer in answers]
    gains = [margins[refusal] - margins[answer] for answer, refusal in TWINS.items()]
    return np.mean(np.log1p(np.exp(-beta * np.array(gains))))


def evaluate(logprobs, batch, **options):
    return get_objective("dpo", **options).loss(token_logprobs=logprobs, batch=batch)


@pytest.mark.parametrize("rows", [ROWS, [[10, 8], [3], [0, 2, 1], [], [6], [9, 7], [5, 4]]])
def test_value_is_the_mean_over_pairs(rows):
    answers = draw(0)
    logprobs, batch = packed(answers, rows)
    loss, metrics = evaluate(logprobs, batch, beta=0.3)
    np.testing.assert_allclose(loss, expected(answers, 0.3), rtol=1e-5)
    margins = [answer.logprobs.sum() - answer.reference for answer in answers]
    np.testing.assert_allclose(metrics["forget_margin"], (sum(margins[:4]), 4), rtol=1e-5)
    np.testing.assert_allclose(metrics["refusal_margin"], (sum(margins[7:]), 4), rtol=1e-5)
    released, _ = evaluate(logprobs, batch, beta=0.3, form="released")
    np.testing.assert_allclose(released, expected(answers, 0.3) * 2 / 0.3, rtol=1e-5)
    kept, found = evaluate(logprobs, batch, beta=0.3, keep="nll", retain_weight=2.0)
    nll = -np.concatenate([answer.logprobs for answer in answers[4:7]]).mean()
    np.testing.assert_allclose(kept, expected(answers, 0.3) + 2 * nll, rtol=1e-5)
    assert set(found) == {"forget_nll", "retain_nll", "forget_margin", "refusal_margin"}


def test_gradient_is_that_of_the_loop():
    answers = draw(1)
    logprobs, batch = packed(answers, ROWS)
    gradient = np.asarray(jax.grad(lambda x: evaluate(x, batch)[0])(logprobs))
    for b, row in enumerate(ROWS):
        for k, index in enumerate(row):
            here = (batch["segments"][b] == k + 1) & (batch["loss_mask"][b] == 1)
            answer, slope = answers[index], 0.0
            for step in (1e-4, -1e-4):
                answer.logprobs[0] += step
                slope += expected(answers, 0.1) / (2 * step)
                answer.logprobs[0] -= step
            np.testing.assert_allclose(gradient[b][here], slope, rtol=1e-4, atol=1e-7)
            # descent lowers the answers, raises the refusals and leaves the others alone
            assert np.sign(slope) == {1.0: 1, 2.0: -1, 0.0: 0}[float(answer.forget)]


def test_at_the_reference_the_loss_is_log_two_and_a_lone_answer_counts_nothing():
    answers = draw(2)
    for answer in answers:
        answer.reference = float(answer.logprobs.sum())
    loss, _ = evaluate(*packed(answers, ROWS))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-5)
    alone, _ = evaluate(*packed(answers, [[0, 1], [4]]))
    assert alone == 0


def test_junk_where_no_answer_is_changes_nothing():
    answers = draw(3)
    logprobs, batch = packed(answers, [*ROWS, []])
    loss, _ = evaluate(logprobs, batch)
    logprobs[batch["loss_mask"] == 0] = np.nan
    batch["reference_logprobs"][batch["answers"] < 0] = np.nan
    again, _ = evaluate(logprobs, batch)
    np.testing.assert_allclose(again, loss, rtol=1e-6)
    assert np.isfinite(jax.grad(lambda x: evaluate(x, batch)[0])(logprobs)).all()
