"""What a model says that pictures of people show, as examples to stay with (PAVA)."""

from collections.abc import Sequence

from mllm.benchmarks.mllmu.schema import Profile
from mllm.benchmarks.mllmu.sets import FORGET, PICTURES, chosen_profiles
from mllm.benchmarks.mllmu.wordings import APPEARANCE_QUESTIONS
from mllm.data.conversation import Example, Media, assistant, image, user
from mllm.data.source import Source
from mllm.evaluation.request import Answered, Request, Rounds, Text, content_key

LIMIT = 48  # tokens of a reply


def ask_about_pictures(config, model: str, benchmark) -> Rounds:
    """Ask a finished model what the first picture of each person to forget shows.

    Args:
      model: the name that the requests ask for.
    """
    shown = PICTURES[config.benchmark.pictures]
    yield [
        _request(profile, number, model, image(shown(profile.images[0])))
        for profile in chosen_profiles(config, benchmark, FORGET)
        for number in range(len(APPEARANCE_QUESTIONS))
    ]


def _request(profile: Profile, number: int, model: str, picture: Media) -> Request:
    turns = (user(picture, APPEARANCE_QUESTIONS[number]),)
    tags = {"person": profile.id, "question": number}
    key = content_key("appearance", tags, turns=turns)
    return Request(key, profile.id, tags, turns, Text(LIMIT), model)


class Anchors(Source[Example]):
    """The questions of ``ask_about_pictures`` with the replies that are not empty.

    Args:
      answered: requests with their replies. role: of the examples.

    Raises:
      ValueError: no reply says anything.
    """

    def __init__(self, config, benchmark, answered: Sequence[Answered], role: str):
        self._shown, self._role = PICTURES[config.benchmark.pictures], role
        self._profiles = {p.id: p for p in chosen_profiles(config, benchmark, FORGET)}
        self._said = [
            (request.tags["person"], request.tags["question"], text)
            for request, reply in answered
            if (text := (reply.text or "").strip())
        ]
        if not self._said:
            raise ValueError(
                f"none of {len(answered)} replies about pictures says anything, so there is "
                "nothing to stay with; choose another method, or teach the model to describe "
                "pictures first"
            )

    def __len__(self) -> int:
        return len(self._said)

    def read(self, number: int) -> Example:
        person, question, text = self._said[number]
        shown = image(self._shown(self._profiles[person].images[0]))
        turns = user(shown, APPEARANCE_QUESTIONS[question]), assistant(text)
        return Example(f"profile {person}, appearance {question}", person, turns, self._role)
