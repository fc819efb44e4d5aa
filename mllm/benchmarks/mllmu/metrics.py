"""The metrics of one question: a record in, a number between 0 and 1 out.

A record is what a protocol makes of the replies to one question. Read here: ``key`` (for messages),
``gold`` (the letter for classification, otherwise the text), ``reply``, ``options`` (text by
letter, in the order of the scores) and the scores ``option_logprobs`` (summed log-probability of
each option's text), ``option_tokens`` (its length) and ``letter_logprobs``. A score that is null
was not measured, and then the metric is None.
"""

from collections.abc import Callable, Mapping

from mllm.evaluation.metrics import best, bleu, contains, exact_match, per_token, rouge
from mllm.evaluation.parsing import CHOICE_RULES

PROTOCOLS = {"strict": "strict", "paper": "first_char"}  # and how each reads a chosen letter
Metric = Callable[[Mapping], float | None]


def chosen_by_text(record: Mapping) -> list[str] | None:
    """Return the letters of the options whose text has the highest log-probability per token.

    There is more than one on a tie, and None where it was not measured.

    Raises:
      ValueError: scores and options differ in number, a score is NaN, or an option has no token.
    """
    scores, tokens = record["option_logprobs"], record["option_tokens"]
    if scores is None:
        return None
    try:
        values = per_token(scores, tokens or ())
    except ValueError:
        raise ValueError(
            f"record {record['key']}: option_tokens is {tokens}, expected {len(scores)} counts >= 1"
        ) from None
    return _best(record, values, "option_logprobs")


def accuracy_text(record: Mapping) -> float | None:
    """Return whether the gold option's text has the highest log-probability per token.

    A tie of k best options that includes the gold one counts 1 / k, see
    ``mllm.evaluation.metrics.share_of_best``.

    Raises:
      ValueError: as ``chosen_by_text``.
    """
    return _share(record, chosen_by_text(record))


def accuracy_letter(record: Mapping) -> float | None:
    """Return whether the gold letter has the highest log-probability (ties: ``accuracy_text``)."""
    scores = record["letter_logprobs"]
    return None if scores is None else _share(record, _best(record, scores, "letter_logprobs"))


def _share(record: Mapping, chosen: list[str] | None) -> float | None:
    return None if chosen is None else (record["gold"] in chosen) / len(chosen)


def _best(record: Mapping, scores: list[float], field: str) -> list[str]:
    letters = list(record["options"])
    try:
        if len(scores) != len(letters):
            raise ValueError
        return [letters[place] for place in best(scores)]
    except ValueError:
        raise ValueError(
            f"record {record['key']}: {field} gives {scores}, expected a number for each of "
            f"{letters}; "
            "the runner writes state 'error' where the model gave none"
        ) from None


def accuracy_parsed(record: Mapping, protocol: str = "strict") -> float | None:
    """Return whether the letter read from the reply is the gold one; no letter is wrong, unless an
    odd row has no gold letter either: the published script compares the two. None where no reply
    was asked for.
    """
    if record["reply"] is None:
        return None
    return float(chosen_letter(record, protocol) == record["gold"])


def chosen_letter(record: Mapping, protocol: str) -> str | None:
    """Return the letter read from the reply, by the rule of the record or else of the protocol.

    ``strict`` reads with ``parsing.parse_choice``, ``paper`` the first character, as published.
    """
    rule, options = record.get("choice_rule", PROTOCOLS[protocol]), record["options"]
    if rule == "strict":  # an odd row may have a letter without a text
        options = {letter: text for letter, text in options.items() if text is not None}
    return CHOICE_RULES[rule](record["reply"], options)


def cloze_exact(record: Mapping) -> float:
    """Return whether reply and gold are equal after ``parsing.normalise``."""
    return exact_match(record["gold"], record["reply"])


def cloze_substring(record: Mapping) -> float:
    """Return whether the gold text occurs in the reply, the published rule (eval.py)."""
    return contains(record["gold"], record["reply"])


def rouge1(record: Mapping) -> float:
    """Return ROUGE-1 F1 with stemmer, as published."""
    return rouge(record["gold"], record["reply"])["rouge1"]


def rouge2(record: Mapping) -> float:
    """Return ROUGE-2 F1 with stemmer, as published."""
    return rouge(record["gold"], record["reply"])["rouge2"]


def rouge_l(record: Mapping) -> float:
    """Return ROUGE-L F1 with stemmer, as published."""
    return rouge(record["gold"], record["reply"])["rougeL"]


def sentence_bleu(record: Mapping) -> float:
    """Return sentence BLEU, as published."""
    return bleu(record["gold"], record["reply"])


METRICS: dict[str, dict[str, Metric]] = {
    "classification": {
        "accuracy_text": accuracy_text,
        "accuracy_letter": accuracy_letter,
        "accuracy_parsed": accuracy_parsed,
    },
    "generation": {"rouge1": rouge1, "rouge2": rouge2, "rougeL": rouge_l, "bleu": sentence_bleu},
    "cloze": {"exact": cloze_exact, "substring": cloze_substring},
}
# By protocol, the headline metric of each task, in the order of tables.
HEADLINES = {
    "strict": {"classification": "accuracy_text", "cloze": "exact", "generation": "rougeL"},
    "paper": {"classification": "accuracy_parsed", "cloze": "substring", "generation": "rougeL"},
}
HEADLINE = HEADLINES["strict"]
