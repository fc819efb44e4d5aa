"""Paired comparisons of checkpoints: the same questions, resampled by profile.

Two checkpoints answer the same questions about the same people, so their difference varies much
less than either score. The bootstrap resamples people, not questions: the questions about one
person are not independent.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from typing import Any

import numpy as np

from mllm.reporting.collect import Run, read_json_lines

RESAMPLES = 2000
# Below six profiles not even a sign test on unanimous differences reaches p = 0.05 (2 / 2**5).
MINIMUM_PROFILES = 6
_AGREEMENT = 1e-4

Cell = tuple[str, str, str, str]  # set, task, modality, metric
Answers = dict[tuple[str, int], float]  # (profile, question index) -> score of that answer


def read_answers(run: Run) -> dict[Cell, Answers]:
    """Scores each reply of a run and returns them for the cells that agree with results.json.

    Only metrics that a reply file decides by itself are scored: the option with the highest
    log-probability per token, the letter with the highest log-probability, and the two cloze
    rules. A cell whose mean or count differs from results.json (a reply file cut short, a metric
    defined otherwise) is left out, so that it is never compared under another definition.
    """
    answers: dict[Cell, Answers] = defaultdict(dict)
    for row in read_json_lines(run.replies_path):
        try:
            cell = row["set"], row["task"], row["modality"]
            question = str(row["profile"]), int(row["index"])
            for metric, value in _score_reply(row).items():
                answers[(*cell, metric)][question] = value
            if row["state"] == "error":
                # A question asked again after an error counts once, by its last reply.
                for other in [known for known in answers if known[:3] == cell]:
                    answers[other].pop(question, None)
        except (KeyError, TypeError, ValueError):
            continue
    agreeing = {}
    for score in run.scores:
        cell = score["set"], score["task"], score["modality"], score["metric"]
        found = answers.get(cell)
        if not found or len(found) != score["n"] or score["value"] is None:
            continue
        if abs(np.mean(list(found.values())) - score["value"]) < _AGREEMENT:
            agreeing[cell] = found
    return agreeing


def mean_over_seeds(answers: list[Answers]) -> Answers | None:
    """Averages each question over the seeds; None where the seeds answered other questions."""
    if not answers or any(other.keys() != answers[0].keys() for other in answers):
        return None
    return {key: float(np.mean([one[key] for one in answers])) for key in answers[0]}


def resample(answers: Answers | None) -> np.ndarray | None:
    """Bootstraps the mean score of one checkpoint over draws of profiles.

    The draws depend on the profiles alone, so the samples of checkpoints that answered the same
    questions may be subtracted from each other. Returns float64[RESAMPLES], or None where the
    answers are unknown or fewer than MINIMUM_PROFILES people stand behind them.
    """
    profiles = sorted({profile for profile, _ in answers or ()})
    if len(profiles) < MINIMUM_PROFILES:
        return None
    position = {profile: index for index, profile in enumerate(profiles)}
    totals, counts = np.zeros(len(profiles)), np.zeros(len(profiles))
    for (profile, _), value in answers.items():
        totals[position[profile]] += value
        counts[position[profile]] += 1
    generator = np.random.default_rng(zlib.crc32("\n".join(profiles).encode()))
    draws = generator.multinomial(
        len(profiles), np.full(len(profiles), 1 / len(profiles)), size=RESAMPLES
    )
    return (draws @ totals) / (draws @ counts)


def interval(samples: np.ndarray) -> tuple[float, float]:
    """Returns the central 95% of bootstrap samples [RESAMPLES]."""
    low, high = np.quantile(samples, (0.025, 0.975))
    return float(low), float(high)


def chosen_option(row: dict[str, Any]) -> str | None:
    """Returns the letter of the option with the highest log-probability per token, or None."""
    logprobs, tokens, options = (
        row.get(key) for key in ("option_logprobs", "option_tokens", "options")
    )
    if not (logprobs and tokens and options) or len(logprobs) != len(options):
        return None
    per_token = np.asarray(logprobs, float) / np.maximum(np.asarray(tokens, float), 1)
    return sorted(options)[int(np.argmax(per_token))]


def is_right(row: dict[str, Any]) -> bool | None:
    """Tells whether a reply row is right by its headline metric; None for free generation."""
    if row.get("task") == "classification":
        choice = chosen_option(row)
        return None if choice is None else choice == row.get("gold")
    if row.get("task") == "cloze":
        return _plain(row.get("reply", "")) == _plain(row.get("gold", ""))
    return None


def _score_reply(row: dict[str, Any]) -> dict[str, float]:
    if row["task"] == "classification":
        letters = sorted(row["options"])
        scores = {}
        if row.get("option_logprobs"):
            per_token = np.divide(row["option_logprobs"], row["option_tokens"])
            scores["accuracy_text"] = _share_of_best(per_token, letters.index(row["gold"]))
        if row.get("letter_logprobs"):
            logprobs = np.asarray(row["letter_logprobs"], float)
            scores["accuracy_letter"] = _share_of_best(logprobs, letters.index(row["gold"]))
        return scores
    if row["task"] == "cloze":
        reply, gold = str(row["reply"]), str(row["gold"])
        return {
            "exact": float(_plain(reply) == _plain(gold)),
            "substring": float(gold.lower() in reply.lower()),
        }
    return {}


def _share_of_best(scores: np.ndarray, gold: int) -> float:
    """Returns 1 for the only best, 1 / k for one of k equal best, else 0."""
    best = np.flatnonzero(scores == scores.max())
    return float(gold in best) / len(best)


def _plain(text: object) -> str:
    """Brings spellings of one answer together: width, case, punctuation, thousands."""
    text = unicodedata.normalize("NFKC", str(text)).casefold()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))|['\u2018\u2019]", "", text)
    text = re.sub(r"(?<!\d)\.|\.(?!\d)", " ", text)
    return " ".join(re.sub(r"[^\w\s.+°]|_", " ", text).split())
