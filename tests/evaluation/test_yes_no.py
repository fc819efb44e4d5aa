"""What a reply says, and the log-odds of summed forms against SciPy."""

import numpy as np
import pytest
from scipy.special import logsumexp

from mllm.evaluation.yes_no import NO, YES, is_yes, log_odds, says_yes, shared


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Yes", True),
        ("yes, it is the sound of a bird.", True),
        ("The answer is: No.", False),
        ("**No**\n\nIt is rain.", False),
        ("no\nyes", None),
        ("Yes or no? I hear rain.\nno", None),
        ("It is not.", None),
        ("yesterday", None),
        ("", None),
        ("  \n", None),
    ],
)
def test_the_first_word_of_a_reply_decides(reply, said):
    assert says_yes(reply) is said


def test_log_odds_sum_the_probabilities_of_all_forms():
    texts = (*YES, *NO)
    logs = np.random.default_rng(0).normal(-5, 3, len(texts))
    expected = logsumexp(logs[: len(YES)]) - logsumexp(logs[len(YES) :])
    assert log_odds(texts, logs.tolist()) == pytest.approx(expected, abs=1e-12)
    assert log_odds(texts, shared(texts, 1.25)) == pytest.approx(1.25)


def test_texts_that_are_neither_are_refused():
    with pytest.raises(ValueError, match="'maybe'"):
        is_yes("maybe")
    with pytest.raises(ValueError, match="of yes and of no"):
        log_odds(YES, [0.0] * len(YES))
