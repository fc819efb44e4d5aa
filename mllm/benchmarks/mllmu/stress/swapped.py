"""The question in the other modality: by the name instead of the picture, and the other way."""

from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import Form, with_question
from mllm.benchmarks.mllmu.strict import plain_question
from mllm.benchmarks.mllmu.wordings import IMAGE_REFERENT


def swapped(asked: Asked) -> Form | None:
    """Return the question with the name for the picture, or the picture for the name; None where
    its text does not say whom it is about in a known way.
    """
    shown, referent, name = asked.item.picture, IMAGE_REFERENT["full"], asked.person.name
    if shown is not None:
        return _replaced(asked, referent, name, None)
    return _replaced(asked, name, referent, asked.person.images[0])


def both(asked: Asked) -> Form | None:
    """Return the question with the name and the picture; None as for ``swapped``."""
    name = asked.person.name
    if asked.item.picture is not None:
        return _replaced(asked, IMAGE_REFERENT["full"], name, asked.item.picture)
    return _replaced(asked, name, name, asked.person.images[0])


def _replaced(asked: Asked, old: str, new: str, picture: bytes | None) -> Form | None:
    text = asked.question.question
    for before, after in ((old, new), (_capital(old), _capital(new))):
        if before and before in text:
            text = plain_question(text.replace(before, after), asked.question.task)
            return with_question(asked, text, picture)
    return None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
