"""The paper protocol: what the published script of MLLMU-Bench asks, with the same shots and
pictures.

``paper_items`` makes all draws, in the script's order and from one stream; ``paper_rounds`` makes
requests of them; ``paper_records`` reads the replies as the script does.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from mllm.benchmarks.mllmu.answerable import Skipped, paper_form
from mllm.benchmarks.mllmu.paper_pictures import as_published
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol, make_query, make_shot
from mllm.benchmarks.mllmu.schema import Question
from mllm.benchmarks.mllmu.strict import question_fields
from mllm.data.conversation import IMAGE_MARK, Media, Turn, image, raw_prompt
from mllm.evaluation.request import Answered, Request, Rounds, Text, content_key, described

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
      pictures: files of what its ``<image>``s show, in their order, the question's own at the end.
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
    sets: Mapping[str, Sequence],
    pool: Sequence,
    protocol: PaperProtocol,
    skipped: list[Skipped] | None = None,
) -> list[PaperItem]:
    """Return every question that is asked, in the order of the script.

    One ``random.Random(seed)`` makes all draws: for each task but generation the IDs of its shots,
    then for each profile of the test set its picture, unless it has a single one and no list.
    Shots follow the order of the pool.

    Args:
      sets: profiles of "forget", "test", "retain" and "celebrity", in the order of their source;
        a set may be missing.
      pool: the profiles in which drawn IDs are looked up (Full_Set). One that is not there, as
        every celebrity, gives no shots.
      protocol: of a family (``PaperProtocol.for_family``).
      skipped: takes the questions that the script itself cannot ask.

    Raises:
      ValueError: more shots are asked for than there are profiles to draw from.
    """
    rng = random.Random(protocol.seed)
    items: list[PaperItem] = []
    skipped = [] if skipped is None else skipped
    for name in ORDER:
        for task in ORDER[name] if name in sets else ():
            for found in _items_of_task(sets, name, task, pool, protocol, rng):
                (items if isinstance(found, PaperItem) else skipped).append(found)
    return items


def _items_of_task(sets, name, task, pool, protocol, rng) -> Iterator[PaperItem | Skipped]:
    chosen = _draw_shots(sets, name, task, pool, protocol, rng)
    shown_before = {(shot.id, place) for shot in chosen for place, _ in _places(shot, task)}
    left_out = shown_before if protocol.skip_shots else set()
    # Multiple choice about celebrities draws shots but tells none. Their IDs are normally unknown
    # to the pool. If one is known, the script still hands the shots' pictures over, and the only
    # ``<image>`` of the prompt shows the first of them (transformers 4.45, which it pins).
    untold = (name, task) == ("celebrity", "classification")
    told = [] if untold else chosen
    instead = _tell(chosen, task, True)[1][:1] if untold else ()
    shots = {shown: _tell(told, task, shown) for shown in (True, False)}
    for profile in sets[name]:
        image = 0
        if name == "test" and protocol.test_image == "random" and profile.drawn:
            image = rng.choice(range(len(profile.images)))
        for place, question in _places(profile, task):
            if (profile.id, place) in left_out:
                continue
            try:
                asked = paper_form(question)
                shown = asked.modality == "image_text"
                text, pictures = shots[shown]
                space = protocol.generation_trailing_space
                prompt = text + make_query(asked, shown, trailing_space=space)
                pictures = (*pictures, *(instead or (profile.images[image],))) if shown else ()
                _require_pictures(prompt, pictures)
            except ValueError as reason:
                yield Skipped(name, question, str(reason))
                continue
            yield PaperItem(
                name,
                asked,
                prompt,
                pictures,
                tuple(shot.id for shot in told),
                image if shown else None,
                protocol.new_tokens(task, shown),
            )


def _require_pictures(prompt: str, pictures: Sequence[bytes]) -> None:
    """Check that each ``<image>`` of a prompt with pictures shows one; without, it is a token."""
    marks = prompt.count(IMAGE_MARK)
    if pictures and marks != len(pictures):
        raise ValueError(f"its prompt says {IMAGE_MARK} {marks} times for {len(pictures)} pictures")


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
    seen = as_published if protocol.pictures == "published" else bytes
    try:
        yield [_request(item, pictures, seen) for item in items]
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


def _request(
    item: PaperItem, pictures: dict[bytes, Media], seen: Callable[[bytes], bytes]
) -> Request:
    question = item.question
    for data in item.pictures:
        if data not in pictures:
            pictures[data] = image(seen(data))
    shown = [pictures[data] for data in item.pictures]
    # In text alone an ``<image>`` that someone typed is a token like any other.
    turns = (
        raw_prompt(item.prompt, shown) if shown else Turn("raw", (item.prompt,), literal=True),
    )
    ask = Text(item.max_new_tokens, echo=DROPPED)
    tags = {
        "set": item.set,
        **asdict(question),
        "shots": list(item.shots),
        "image": item.image,
        "prompt": item.prompt,
    }
    key = content_key("paper", item.set, asdict(question), described(ask), turns=turns)
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
