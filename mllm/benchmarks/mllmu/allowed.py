"""Which measures of answers the rows of a data set allow."""

from collections.abc import Iterable, Sequence

from mllm.benchmarks.mllmu.answerable import strict_form
from mllm.benchmarks.mllmu.paraphrases import paraphrased
from mllm.benchmarks.mllmu.schema import TASKS, Profile, Question
from mllm.benchmarks.mllmu.wrong_answers import known_values, wrong_answers

STRANGERS = "validation"  # the split of people whom no model is taught


def allowed(people: Sequence[Profile], splits: Iterable[str]) -> list[str]:
    """Return a line about the measures that compare answers, and one about membership.

    Args:
      people: those who may be forgotten. splits: the names of all splits that have rows.
    """
    values = known_values(people)
    asked = [question for person in people for question in _asked(person)]
    parts = []
    for task in TASKS:
        mine = [question for question in asked if question.task == task]
        compared = sum(bool(wrong_answers(question, values)) for question in mine)
        parts.append(f"{task} {compared} of {len(mine)}")
    sentences = [question for question in asked if question.task == "generation"]
    reworded = sum(paraphrased(question) is not None for question in sentences)
    strangers = "measured" if STRANGERS in splits else "not measured: there are no strangers"
    return [
        f"questions with wrong answers, for truth ratios: {', '.join(parts)}; with a paraphrase: "
        f"generation {reworded} of {len(sentences)}",
        f"membership: {strangers}",
    ]


def _asked(person: Profile) -> Iterable[Question]:
    for question in person.questions:
        try:
            yield strict_form(question)
        except ValueError:  # it cannot be asked, which a line of its own says
            continue
