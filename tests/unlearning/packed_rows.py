"""Packed batches written down answer by answer, and the float64 sums over the same answers."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Answer:
    """One answer: log-probability and divergence of its tokens (float64), role, reference.

    ``divergence`` also stands for any other value of the tokens. ``frozen`` are log-probabilities
    through which no gradient flows: they stay when ``logprobs`` are changed.
    """

    logprobs: np.ndarray
    divergence: np.ndarray
    forget: bool
    reference: float
    frozen: np.ndarray = None

    def __post_init__(self):
        self.frozen = self.logprobs.copy()


def draw_answers(seed: int, forget: int = 4, retain: int = 3) -> list[Answer]:
    rng = np.random.default_rng(seed)
    answers = []
    for number in range(forget + retain):
        length = rng.integers(1, 6)
        # float32 values kept in float64: both sides of a comparison start from the same numbers
        values = rng.exponential(size=(2, length)).astype("float32").astype("float64")
        reference = float(np.float32(-length * rng.exponential()))
        answers.append(Answer(-values[0], values[1], number < forget, reference))
    return answers


def pack(answers: list[Answer], rows: list[list[int]], *, prefix: int = 2, tokens: int = 24):
    """(token_logprobs, divergence, batch) of the answers in ``rows``; [] is a padding row.

    Each answer is preceded by one unsupervised question token of its own segment. Prefix and
    padding hold no answer, so whatever stands there must not matter; here it is zero, as the
    training step gives it.
    """
    shape = (len(rows), tokens)
    most = max(len(row) for row in rows)
    logprobs, divergence, loss_mask = (np.zeros(shape, "float32") for _ in range(3))
    segments = np.full(shape, -1, "int32")
    numbers = np.full((len(rows), most), -1, "int32")
    reference = np.zeros((len(rows), most), "float32")
    forget, weight = np.zeros(len(rows), "float32"), np.zeros(len(rows), "float32")
    for b, row in enumerate(rows):
        if not row:
            continue
        weight[b], forget[b], segments[b, :prefix], at = 1, answers[row[0]].forget, 0, prefix
        for k, index in enumerate(row):
            answer, end = answers[index], at + 1 + len(answers[index].logprobs)
            assert answer.forget == forget[b] and end <= tokens
            segments[b, at:end], loss_mask[b, at + 1 : end] = k + 1, 1
            logprobs[b, at + 1 : end] = answer.logprobs
            divergence[b, at + 1 : end] = answer.divergence
            numbers[b, k], reference[b, k] = index, answer.reference
            at = end
    batch = {
        "segments": segments,
        "loss_mask": loss_mask,
        "role": forget,
        "weight": weight,
        "answers": numbers,
        "reference_logprobs": reference,
    }
    return logprobs, divergence, batch


def token_mean(answers: list[Answer], field: str) -> float:
    values = [getattr(answer, field) for answer in answers]
    return float(np.concatenate(values).mean()) if values else 0.0
