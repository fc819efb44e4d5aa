"""Metrics of one answer: pure functions of texts or numbers, between 0 and 1."""

import math
from collections.abc import Sequence
from functools import lru_cache

from mllm.evaluation.parsing import normalise


def best(scores: Sequence[float]) -> list[int]:
    """Return the places of the highest score, more than one on a tie.

    Raises:
      ValueError: there are no scores, or one is NaN.
    """
    if not scores or any(math.isnan(score) for score in scores):
        raise ValueError(f"scores {list(scores)}: expected at least one, and numbers")
    highest = max(scores)
    return [place for place, score in enumerate(scores) if score == highest]


def share_of_best(scores: Sequence[float], gold: int) -> float:
    """Return whether the score at place ``gold`` is the highest.

    A tie of k highest scores that includes it counts 1 / k, the expectation of choosing among them
    at random: a model that has collapsed to equal scores is at chance, and not at 0 or 1 by the
    order of the choices.
    """
    found = best(scores)
    return (gold in found) / len(found)


def per_token(logprobs: Sequence[float], tokens: Sequence[int]) -> list[float]:
    """Return summed log-probabilities divided by the number of tokens of each.

    Raises:
      ValueError: there are not as many counts as scores, or one is below 1.
    """
    if len(tokens) != len(logprobs) or min(tokens, default=1) < 1:
        raise ValueError(f"tokens is {list(tokens)}, expected {len(logprobs)} counts >= 1")
    return [total / count for total, count in zip(logprobs, tokens, strict=True)]


def exact_match(gold: str, reply: str) -> float:
    """Return whether reply and gold are equal after ``parsing.normalise``."""
    return float(normalise(reply) == normalise(gold))


def contains(gold: str, reply: str) -> float:
    """Return whether the lower-cased gold text occurs anywhere in the lower-cased reply.

    It accepts "5" in "1950" and "not Paris" for "Paris"; compare with ``exact_match``.
    """
    return float(gold.lower() in reply.lower())


@lru_cache(maxsize=1)
def _rouge_scorer():
    from rouge_score.rouge_scorer import RougeScorer  # see ``bleu``

    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


@lru_cache(maxsize=1024)  # several of the metrics are asked for one after the other
def rouge(gold: str, reply: str) -> dict[str, float]:
    """Return the F1 of ROUGE-1, ROUGE-2 and ROUGE-L: "rouge1", "rouge2", "rougeL".

    Words are stemmed (Porter), as by the rouge_score package with its stemmer (Lin 2004).
    """
    scores = _rouge_scorer().score(target=gold, prediction=reply)
    return {name: score.fmeasure for name, score in scores.items()}


def bleu(gold: str, reply: str) -> float:
    """Return sentence BLEU with n-grams of up to four words.

    Texts are split at white space and keep their case; precisions without a match are smoothed by
    method 1 of NLTK (Papineni et al. 2002; Chen and Cherry 2014).
    """
    # Only here: NLTK takes seconds to import, every command reads this file, and few score texts.
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method1
    return float(sentence_bleu([gold.split()], reply.split(), smoothing_function=smoothing))
