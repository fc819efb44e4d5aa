"""The metrics of one question: a record of replies.jsonl in, a number between 0 and 1 out.

A record is what the evaluation writes for every question. Read here: ``key`` (for messages),
``gold`` (the letter for classification, else the text), ``reply``, ``options`` (text by letter, in
the order of the scores) and the scores ``option_logprobs`` (summed log-probability of each option's
text), ``option_tokens`` (its length) and ``letter_logprobs``. A score that is null was not
measured, and then the metric is None.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score.rouge_scorer import RougeScorer

from mllm.evaluation.parsing import CHOICE_RULES, normalise

PROTOCOLS = {"strict": "strict", "paper": "first_char"}  # and how each reads a chosen letter
Metric = Callable[[Mapping], float | None]


def chosen_by_text(record: Mapping) -> list[str] | None:
    """Letters of the options whose text has the highest log-probability per token; more than one on
    a tie, None where it was not measured.

    Raises:
      ValueError: scores and options differ in number, a score is NaN, or an option has no token.
    """
    scores, tokens = record["option_logprobs"], record["option_tokens"]
    if scores is None:
        return None
    if tokens is None or len(tokens) != len(scores) or min(tokens) < 1:
        raise ValueError(
            f"record {record['key']}: option_tokens is {tokens}, expected {len(scores)} counts >= 1"
        )
    per_token = [score / count for score, count in zip(scores, tokens, strict=True)]
    return _best(record, per_token, "option_logprobs")


def accuracy_text(record: Mapping) -> float | None:
    """Whether the gold option's text has the highest log-probability per token.

    A tie of k best options that includes the gold one counts 1 / k, the expectation of choosing
    among them at random: a model that has collapsed to equal scores is at chance, and not at 0 or 1
    by the order of the options.

    Raises:
      ValueError: as ``chosen_by_text``.
    """
    return _share(record, chosen_by_text(record))


def accuracy_letter(record: Mapping) -> float | None:
    """Whether the gold letter has the highest log-probability; ties as in ``accuracy_text``."""
    scores = record["letter_logprobs"]
    return None if scores is None else _share(record, _best(record, scores, "letter_logprobs"))


def _share(record: Mapping, chosen: list[str] | None) -> float | None:
    return None if chosen is None else (record["gold"] in chosen) / len(chosen)


def _best(record: Mapping, scores: list[float], field: str) -> list[str]:
    letters = list(record["options"])
    if len(scores) != len(letters) or any(math.isnan(score) for score in scores):
        raise ValueError(
            f"record {record['key']}: {field} gives {scores}, expected a number for each of "
            f"{letters}; "
            "the runner writes state 'error' where the model gave none"
        )
    return [letter for letter, score in zip(letters, scores, strict=True) if score == max(scores)]


def accuracy_parsed(record: Mapping, protocol: str = "strict") -> float:
    """Whether the letter read from the reply is the gold one; one that chooses nothing is not."""
    return float(chosen_letter(record, protocol) == record["gold"])


def chosen_letter(record: Mapping, protocol: str) -> str | None:
    """The letter read from the reply, by the rule that the record names, else by the protocol's:
    ``strict`` reads with ``parsing.parse_choice``, ``paper`` the first character, as published.
    """
    rule = record.get("choice_rule", PROTOCOLS[protocol])
    return CHOICE_RULES[rule](record["reply"], record["options"])


def cloze_exact(record: Mapping) -> float:
    """Whether reply and gold are equal after ``parsing.normalise``."""
    return float(normalise(record["reply"]) == normalise(record["gold"]))


def cloze_substring(record: Mapping) -> float:
    """The published rule: the lower-cased gold text occurs anywhere in the lower-cased reply.

    It accepts "5" in "1950" and "not Paris" for "Paris" (MLLMU-Bench, eval.py); read it beside
    ``cloze_exact``.
    """
    return float(record["gold"].lower() in record["reply"].lower())


@lru_cache(maxsize=1)
def _rouge_scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


@lru_cache(maxsize=1024)  # the three metrics of a record are asked for one after the other
def _rouge_scores(gold: str, reply: str) -> dict[str, float]:
    scores = _rouge_scorer().score(target=gold, prediction=reply)
    return {name: score.fmeasure for name, score in scores.items()}


def rouge1(record: Mapping) -> float:
    """ROUGE-1 F1 of the rouge_score package with stemmer, as published."""
    return _rouge_scores(record["gold"], record["reply"])["rouge1"]


def rouge2(record: Mapping) -> float:
    """ROUGE-2 F1 of the rouge_score package with stemmer, as published."""
    return _rouge_scores(record["gold"], record["reply"])["rouge2"]


def rouge_l(record: Mapping) -> float:
    """ROUGE-L F1 of the rouge_score package with stemmer, as published."""
    return _rouge_scores(record["gold"], record["reply"])["rougeL"]


def bleu(record: Mapping) -> float:
    """Sentence BLEU of NLTK as published: split at white space, case kept, smoothing method 1."""
    return float(
        sentence_bleu(
            [record["gold"].split()],
            record["reply"].split(),
            smoothing_function=SmoothingFunction().method1,
        )
    )


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "accuracy_text": accuracy_text,
        "accuracy_letter": accuracy_letter,
        "accuracy_parsed": accuracy_parsed,
    },
    "generation": {"rouge1": rouge1, "rouge2": rouge2, "rougeL": rouge_l, "bleu": bleu},
    "cloze": {"exact": cloze_exact, "substring": cloze_substring},
}
# By protocol, the metric of each task that stands for it, in the order of tables.
HEADLINES = {
    "strict": {"classification": "accuracy_text", "cloze": "exact", "generation": "rougeL"},
    "paper": {"classification": "accuracy_parsed", "cloze": "substring", "generation": "rougeL"},
}
HEADLINE = HEADLINES["strict"]
