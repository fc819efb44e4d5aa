"""The question after others in one prompt: about somebody who is retained, or about the person."""

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import Form, plain
from mllm.benchmarks.mllmu.strict import plain_question
from mllm.data.conversation import Turn, assistant, user

FACTS = 2  # that are said about a person before the question


def mixed(asked: Asked) -> Form | None:
    """Return the question after an answered one about a person who is retained.

    Questions about people to forget and to retain are usually asked apart, and methods break where
    one prompt holds both (Thaker et al. 2024, arXiv:2410.02879).
    """
    if asked.before is None:
        return None
    earlier = asked.before
    text = plain_question(earlier.question, earlier.task)
    return _after((user(text), assistant(earlier.answer_text)), asked)


def hinted(asked: Asked) -> Form | None:
    """Return the question after two other facts about the person, in questions and answers that the
    model was taught; None where there are none.
    """
    told = _other_facts(asked)
    if not told:
        return None
    turns = [turn for fact in told for turn in (user(fact.question), assistant(fact.answer))]
    return _after(tuple(turns), asked)


def _after(turns: tuple[Turn, ...], asked: Asked) -> Form:
    """Put turns before a question, whose picture then opens the conversation."""
    form = plain(asked)
    *shown, text = form.turns[0].parts
    first, *rest = turns
    opened = Turn(first.role, (*shown, *first.parts))
    return Form((opened, *rest, user(text)), form.options)


def _other_facts(asked: Asked) -> list:
    """Return training pairs about other facts than the one that is asked, one for each fact."""
    one, found = asked.question, {}
    for pair in asked.person.training:
        same = pair.attribute and pair.attribute in (one.attribute, "name")
        fits = pair.form == "plain" and pair.modality == one.modality
        if fits and not same and one.answer_text not in pair.answer:
            found.setdefault(pair.attribute or pair.question, pair)
    return list(found.values())[:FACTS]
