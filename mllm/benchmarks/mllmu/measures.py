"""What a model gives right and wrong answers, token by token: the measures of one question each.

They are kept next to the replies (``inspection``). ``measured`` compares those of two models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from mllm.benchmarks.mllmu.paraphrases import paraphrased
from mllm.benchmarks.mllmu.schema import Profile, Question
from mllm.benchmarks.mllmu.sets import FORGET, UNSEEN
from mllm.benchmarks.mllmu.strict import Item, plain_question, strict_items
from mllm.benchmarks.mllmu.wrong_answers import WRONG, known_values, wrong_answers
from mllm.data.conversation import image, user
from mllm.evaluation import membership, memorisation
from mllm.evaluation.gradients import answer_gradients
from mllm.evaluation.inspection import Inspection
from mllm.evaluation.metrics import per_token
from mllm.evaluation.request import Choices, Reply, Request, content_key, described
from mllm.evaluation.runner import LocalModel

NAME = "measures"
MEMBERSHIP = ("loss", "zlib", "min_k", "min_k_plus_plus", "gradient")
PARAPHRASES = 1  # of a sentence


def measures(sets: Mapping[str, Sequence[Profile]], gradients: bool = False) -> Inspection:
    """Return the measurement of the answers to all questions of sets of people.

    Args:
      sets: those that are evaluated, and ``sets.UNSEEN`` where there is one.
      gradients: whether the norms of gradients are measured of people to forget and unseen ones.
    """
    counts = {name: len(profiles) for name, profiles in sets.items()}
    options = {"people": counts, "wrong": WRONG, "share": membership.SHARE}
    options |= {"paraphrases": PARAPHRASES, "gradients": gradients}
    return Inspection(NAME, partial(measure, sets, gradients=gradients), options)


def measure(
    sets: Mapping[str, Sequence[Profile]], model: LocalModel, gradients: bool = False
) -> dict[str, Any]:
    """Return JSON values: ``questions``, a row of ``measured_row`` each, and ``errors``, the number
    of those whose log-probabilities were not finite, which have no row.
    """
    items = strict_items(sets)
    values = known_values(profile for profiles in sets.values() for profile in profiles)
    requests = [answers_request(item, values) for item in items]
    replies = {reply.key: reply for lot in model.answer(requests, set()) for reply in lot}
    found = [replies[request.key] for request in requests]
    rows = [
        measured_row(item, request, reply)
        for item, request, reply in zip(items, requests, found, strict=True)
        if reply.state != "error"
    ]
    if gradients:
        _add_gradients(model, items, requests, rows)
    return {"questions": rows, "errors": len(found) - len(rows)}


def _add_gradients(
    model: LocalModel,
    items: Sequence[Item],
    requests: Sequence[Request],
    rows: Sequence[dict[str, Any]],
) -> None:
    """Write the norms of the gradients of right answers into the rows that membership compares."""
    known = {place_of(row): row for row in rows}
    wanted = [
        (place_of({"set": item.set, **asdict(item.question)}), request)
        for item, request in zip(items, requests, strict=True)
        if item.set in (FORGET, UNSEEN)
    ]
    wanted = [(place, request) for place, request in wanted if place in known]
    norms = answer_gradients(model, [(one.turns, one.ask.texts[0]) for _, one in wanted])
    for (place, _), norm in zip(wanted, norms, strict=True):
        known[place]["gradient"] = float(norm) if np.isfinite(norm) else None


def place_of(row: Mapping[str, Any]) -> tuple:
    """Return what identifies the question of a row in every run."""
    return tuple(row[k] for k in ("set", "profile", "task", "modality", "index", "question"))


def answers_request(item: Item, values: Mapping[str, Sequence[str]]) -> Request:
    """Return the request for the tokens of the right answer to a question, then of wrong ones, then
    of the paraphrases of all these where there are any; the tag "wrong" counts the wrong ones.

    The question is that of the strict protocol for a free answer; a multiple choice is asked
    without its options.
    """
    question = item.question
    wrong = wrong_answers(question, values)
    ask = Choices((question.answer_text, *wrong, *_paraphrases(question, wrong)), by_token=True)
    shown = () if item.picture is None else (image(item.picture),)
    turns = (user(*shown, plain_question(question.question, question.task)),)
    key = content_key(NAME, item.set, asdict(question), described(ask), turns=turns)
    tags = {"set": item.set, "wrong": len(wrong)}
    return Request(key, question.profile, tags, turns, ask)


def _paraphrases(question: Question, wrong: Sequence[str]) -> tuple[str, ...]:
    """Return the right answer and the wrong ones in other words; none where one has none."""
    if not wrong:
        return ()
    answers = (question.answer, *wrong)
    found = [paraphrased(replace(question, answer=answer)) for answer in answers]
    return () if None in found else tuple(found)


def measured_row(item: Item, request: Request, reply: Reply) -> dict[str, Any]:
    """Return what was measured of one question, and which one it is.

    ``among`` and ``truth_ratio`` are None where there are no wrong answers,
    ``truth_ratio_paraphrase``, of the paraphrases alone, where there are none of these, and
    ``gradient`` unless it is measured afterwards. The end token belongs
    to all log-probabilities, but not to ``exact_memorisation`` and ``extraction_strength``.
    """
    question, text = item.question, request.ask.texts[0]
    averages = per_token(reply.logprobs, reply.tokens)
    count = 1 + request.tags["wrong"]
    right, *wrong = averages[:count]
    again = averages[count:]
    logprobs, likeliest, means, variances = np.array(reply.extra["by_token"][0]).T
    return {
        "set": item.set,
        **{k: getattr(question, k) for k in ("profile", "task", "modality", "index", "question")},
        "probability": memorisation.probability(right),
        "among": memorisation.probability_among(right, wrong) if wrong else None,
        "truth_ratio": memorisation.truth_ratio(right, wrong) if wrong else None,
        "truth_ratio_paraphrase": memorisation.truth_ratio(again[0], again[1:]) if again else None,
        "exact_memorisation": memorisation.exact_memorisation(likeliest[:-1]),
        "extraction_strength": memorisation.extraction_strength(likeliest[:-1]),
        "loss": membership.loss(logprobs),
        "zlib": membership.zlib_loss(logprobs, text),
        "min_k": membership.min_k(logprobs),
        "min_k_plus_plus": membership.min_k_plus_plus(logprobs, means, variances),
        "gradient": None,
    }
