"""The question about another picture: one that the model was not taught with."""

from functools import partial

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import Form, with_question
from mllm.benchmarks.mllmu.strict import plain_question
from mllm.evaluation.stress.pictures import PICTURES


def changed(name: str, asked: Asked) -> Form | None:
    """Return the question about its picture changed by ``PICTURES[name]``; None without one."""
    if asked.item.picture is None:
        return None
    return _about(asked, PICTURES[name](asked.item.picture))


def another(asked: Asked) -> Form | None:
    """Return the question about a picture of the person from the test set."""
    if asked.item.picture is None or asked.test is None or not asked.test.images:
        return None
    return _about(asked, asked.test.images[asked.question.index % len(asked.test.images)])


def _about(asked: Asked, picture: bytes) -> Form:
    text = plain_question(asked.question.question, asked.question.task)
    return with_question(asked, text, picture)


REPICTURED = {**{name: partial(changed, name) for name in PICTURES}, "another": another}
