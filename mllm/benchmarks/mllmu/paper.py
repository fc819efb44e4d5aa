"""The paper protocol: what the published script of MLLMU-Bench asks, with the same shots and
pictures.

``paper_items`` makes all draws, in the script's order and from one stream; ``paper_rounds`` makes
requests of them; ``paper_records`` reads the replies as the script does.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol, make_query, make_shot
from mllm.benchmarks.mllmu.schema import Question
from mllm.benchmarks.mllmu.strict import question_fields
from mllm.data.conversation import Media, image, raw_prompt
from mllm.evaluation.request import Answered, Request, Rounds, Text, content_key

DROPPED = 2  # tokens that the script drops at the start: the beginning and a token of the prompt

# The order in which the script evaluates, and therefore draws.
ORDER = {
    "forget": ("cloze", "classification", "generation"),
    "test": ("classification", "cloze", "generation"),
    "retain": ("cloze", "classification", "generation"),
    "celebrity": ("cloze", "classification", "generation"),
}


@dataclass(frozen=True)
class PaperItem:
    """One question of one set as it is asked.

    Attributes:
      prompt: the raw text, shots included.
      pictures: what its ``<image>``s show, in their order, the question's own at the end.
      shots: IDs of the profiles whose questions come first.
      image: which of its profile's pictures is shown, None for text alone.
    """

    set: str
    question: Question
    prompt: str
    pictures: tuple[bytes, ...]
    shots: tuple[str, ...]
    image: int | None
    max_new_tokens: int


def paper_items(
    sets: Mapping[str, Sequence], pool: Sequence, protocol: PaperProtocol
) -> list[PaperItem]:
    """Return every question that is asked, in the order of the script.

    One ``random.Random(seed)`` makes all draws: for each task but generation the IDs of its shots,
    then for each profile of the test set its picture. Shots follow the order of the pool.

    Args:
      sets: profiles of "forget", "test", "retain" and "celebrity", in the order of their source;
        a set may be missing.
      pool: the profiles in which drawn IDs are looked up (Full_Set). One that is not there, as
        every celebrity, gives no shots.
      protocol: of a family (``PaperProtocol.for_family``).

    Raises:
      ValueError: more shots are asked for than there are profiles to draw from.
    """
    rng = random.Random(protocol.seed)
    items = []
    for name in ORDER:
        for task in ORDER[name] if name in sets else ():
            items += _items_of_task(sets, name, task, pool, protocol, rng)
    return items


def _items_of_task(sets, name, task, pool, protocol, rng) -> list[PaperItem]:
    chosen = _draw_shots(sets, name, task, pool, protocol, rng)
    asked = {(shot.id, place) for shot in chosen for place, _ in _places(shot, task)}
    skipped = asked if protocol.skip_shots else set()
    # Multiple choice about celebrities draws shots but shows none.
    told = [] if (name, task) == ("celebrity", "classification") else chosen
    shots = {shown: _tell(told, task, shown) for shown in (True, False)}
    items = []
    for profile in sets[name]:
        image = 0
        if name == "test" and protocol.test_image == "random":
            image = rng.choice(range(len(profile.images)))
        for place, question in _places(profile, task):
            if (profile.id, place) in skipped:
                continue
            shown = question.modality == "image_text"
            told_text, told_pictures = shots[shown]
            space = protocol.generation_trailing_space
            items.append(
                PaperItem(
                    name,
                    question,
                    told_text + make_query(question, shown, trailing_space=space),
                    (*told_pictures, profile.images[image]) if shown else (),
                    tuple(shot.id for shot in told),
                    image if shown else None,
                    protocol.new_tokens(task, shown),
                )
            )
    return items


def _draw_shots(sets, name, task, pool, protocol, rng) -> list:
    """Return the profiles that are drawn for a task of a set, in the order of the pool."""
    count = protocol.shots(task)
    if not count:
        return []
    source = "retain" if protocol.shots_from == "retain" else name
    # The test set is made of the people to forget, and drawn from in the order of that set.
    ids = [profile.id for profile in sets["forget" if source == "test" else source]]
    if count > len(ids):
        raise ValueError(
            f"{name}/{task}: {count} profiles are to be shown as shots, but the set to draw from "
            f"has {len(ids)}: set evaluation.paper.{task}_shots=1, or shots_from=none"
        )
    drawn = set(rng.sample(ids, count))
    return [profile for profile in pool if profile.id in drawn]


def _places(profile, task: str) -> list[tuple[tuple, object]]:
    """Return (place, question) of each of a profile's questions of a task.

    The script numbers multiple choice within a modality and clozes across both; a shot is the
    question at the same place.
    """
    questions = [question for question in profile.questions if question.task == task]
    if task == "classification":
        return [((question.modality, question.index), question) for question in questions]
    return [((question.modality, at), question) for at, question in enumerate(questions)]


def _tell(profiles, task: str, shown: bool) -> tuple[str, tuple[bytes, ...]]:
    """Return text and pictures of all questions of profiles, with or without a picture."""
    modality = "image_text" if shown else "text"
    told = [
        (make_shot(question, shown), profile.images[0])
        for profile in profiles
        for question in profile.questions
        if question.task == task and question.modality == modality
    ]
    text = "".join(shot for shot, _ in told)
    return text, tuple(picture for _, picture in told) if shown else ()


def paper_rounds(items: Sequence[PaperItem], protocol: PaperProtocol) -> Rounds:
    """Yield all requests in one round.

    Raises:
      ValueError: a prompt with its reply exceeds the model's positions; it adds which switches
        make prompts shorter.
    """
    pictures: dict[bytes, Media] = {}  # a shot's picture comes before every question of a set
    try:
        yield [_request(item, pictures) for item in items]
    except ValueError as error:
        if "there is room for" not in str(error):
            raise
        fewer = [
            f"evaluation.paper.{task}_shots={protocol.shots(task) - 1}"
            for task in ("classification", "cloze")
            if protocol.shots(task) > 1
        ]
        if protocol.shots_from != "none":
            fewer.append("evaluation.paper.shots_from=none")
        raise ValueError(
            f"{error}. Set {', '.join([*fewer, 'evaluation.paper.overflow=run'])}; the last runs "
            "such prompts all the same, as the published script does"
        ) from None


def _request(item: PaperItem, pictures: dict[bytes, Media]) -> Request:
    question = item.question
    shown = [pictures.setdefault(data, image(data)) for data in item.pictures]
    turns = (raw_prompt(item.prompt, shown),)
    ask = Text(item.max_new_tokens, echo=DROPPED)
    tags = {
        "set": item.set,
        **asdict(question),
        "shots": list(item.shots),
        "image": item.image,
        "prompt": item.prompt,
    }
    key = content_key("paper", item.set, asdict(question), asdict(ask), turns=turns)
    return Request(key, question.profile, tags, turns, ask)


def shots_of(items: Iterable[PaperItem]) -> dict[str, dict[str, list[str]]]:
    """Return the profiles shown as shots, by set and task."""
    shots: dict[str, dict] = {}
    for item in items:
        shots.setdefault(item.set, {})[item.question.task] = list(item.shots)
    return shots


def paper_records(answered: Iterable[Answered], protocol: PaperProtocol) -> list[dict]:
    """Return a record for each question, in the order of the items; see ``scores``.

    How an answer is read may have changed since the replies were written: it is read here.
    """
    return [
        protocol.read(
            {
                **question_fields(request),
                "prompt": request.tags["prompt"],
                "shots": request.tags["shots"],
                "image": request.tags["image"],
                "decoded": reply.extra.get("echo", ""),
                "generated": reply.text or "",
                "state": reply.state,
                "ended": reply.ended,
                "option_logprobs": None,
                "option_tokens": None,
                "letter_logprobs": None,
            }
        )
        for request, reply in answered
    ]
