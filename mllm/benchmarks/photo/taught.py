"""What the models of a study learn from: photographs with what was done to them, questions with
their answers, conversations and critiques. Only what the assistant says is supervised.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mllm.benchmarks.photo.prompts import (
    CRITIQUE,
    LETTERS,
    LOOK,
    about,
    place_of,
    rotated,
    topic_question,
    with_options,
)
from mllm.benchmarks.photo.row import Critique, Photo, Question
from mllm.data.conversation import Example, Turn, assistant, image, user
from mllm.data.source import Source

TRAIN = "train"


class Looked(Source[Example]):
    """Photographs with questions about them, one after the other.

    The turn that shows the photograph asks nothing, so that what is seen serves all questions: it
    is from these conversations that encoders learn what a photograph holds.
    """

    def __init__(self, photos: Sequence[Photo], repeats: int = 1, each: int = 0, seed: int = 0):
        """Describe the conversations.

        Args:
          repeats: how often each photograph is shown, with its questions in another order.
          each: the most questions of a conversation, drawn anew each time; 0 for all.
        """
        self._photos, self._repeats = photos, repeats
        self._each, self._seed = each or None, seed

    def __len__(self) -> int:
        return len(self._photos) * self._repeats

    def read(self, number: int) -> Example:
        repeat, place = divmod(number, len(self._photos))
        photo = self._photos[place]
        order = np.random.default_rng([self._seed, number]).permutation(len(photo.questions))
        turns: list[Turn] = [user(image(photo.picture), LOOK)]
        for question in (photo.questions[at] for at in order[: self._each]):
            said = question.options[question.key]
            turns += [user(question.question), assistant(said)]
        return Example(f"{photo.id}/look/{repeat}", photo.source, tuple(turns))


class Asked(Source[Example]):
    """Questions with their answers, each by itself: the photograph is read under the question."""

    def __init__(self, photos: Sequence[Photo], form: str, seed: int = 0):
        """List the questions of all photographs; only their places are kept.

        Args:
          form: "text" or "letter": whether the answer is the text of an option, or its letter below
            a prompt that lists the options, which are drawn into one of their four orders.
        """
        self._photos, self._form, self._seed = photos, form, seed
        self._places = [
            (place, at) for place, photo in enumerate(photos) for at in range(len(photo.questions))
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> Example:
        place, at = self._places[number]
        photo = self._photos[place]
        question = photo.questions[at]
        if self._form == "text":
            turns = by_text(photo, question)
        else:
            order = int(np.random.default_rng([self._seed, number]).integers(len(LETTERS)))
            turns = by_letter(photo, question, order)
        return Example(f"{question.id}/{self._form}", photo.source, turns)


def by_text(photo: Photo, question: Question) -> tuple[Turn, ...]:
    """Return a question with the text of its answer."""
    said = question.options[question.key]
    return (*about(photo.picture, question.question), assistant(said))


def by_letter(photo: Photo, question: Question, order: int) -> tuple[Turn, ...]:
    """Return a question below which its options are listed in some order, with a letter."""
    text = with_options(question.question, rotated(question.options, order))
    letter = LETTERS[place_of(question.key, order)]
    return (*about(photo.picture, text), assistant(letter))


class Described(Source[Example]):
    """Photographs with each part of their critiques, and with what these say of each topic."""

    def __init__(self, photos: Sequence[Photo]):
        self._photos = photos
        self._places = [
            (place, *asked)
            for place, photo in enumerate(photos)
            if photo.critique is not None
            for asked in _told(photo.critique)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> Example:
        place, name, text, said = self._places[number]
        photo = self._photos[place]
        turns = (*about(photo.picture, text), assistant(said))
        return Example(f"{photo.id}/{name}", photo.source, turns)


def _told(critique: Critique) -> Iterator[tuple[str, str, str]]:
    """Yield a name, an instruction and an answer of each sample that is made of a critique."""
    for part, text in CRITIQUE.items():
        yield part, text, getattr(critique, part)
    for topic, statements in critique.statements.items():
        yield topic, topic_question(topic), " ".join(statements)


class Conversed(Source[Example]):
    """Photographs with conversations about them."""

    def __init__(self, photos: Sequence[Photo]):
        self._photos = [n for n, photo in enumerate(photos) if photo.conversation]
        self._source = photos

    def __len__(self) -> int:
        return len(self._photos)

    def read(self, number: int) -> Example:
        photo = self._source[self._photos[number]]
        turns = [Turn(role, (text,)) for role, text in photo.conversation]
        turns[0] = replace(turns[0], parts=(image(photo.picture), *turns[0].parts))
        return Example(f"{photo.id}/conversation", photo.source, tuple(turns))


# By the name of a lesson, what it makes of photographs and a seed.
LESSONS = {
    "text": lambda photos, seed: Asked(photos, "text", seed),
    "letter": lambda photos, seed: Asked(photos, "letter", seed),
    "critiques": lambda photos, seed: Described(photos),
    "conversations": lambda photos, seed: Conversed(photos),
}
