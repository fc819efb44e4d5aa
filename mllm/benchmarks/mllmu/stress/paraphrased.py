"""The question in other words: those in which the test set asks for the same fact."""

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import Form, with_question
from mllm.benchmarks.mllmu.strict import plain_question, strict_items


def paraphrased(asked: Asked) -> Form | None:
    """Return the question with the test set's wording, and its own picture and options; None where
    the test set does not ask for the same fact.
    """
    if asked.test is None:
        return None
    one = asked.question
    for item in strict_items({"test": [asked.test]}):
        other = item.question
        places = [(q.task, q.modality, q.index, q.attribute) for q in (one, other)]
        if places[0] == places[1] and other.answer_text == one.answer_text:
            text = plain_question(other.question, one.task)
            return with_question(asked, text, asked.item.picture)
    return None
