"""What is asked: prompts of ten tasks by shots, type and mode, then a judge about the outputs."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mllm.benchmarks.cobsat import prompts
from mllm.benchmarks.cobsat.assemble import PROMPT_TYPES
from mllm.benchmarks.cobsat.benchmark import Benchmark
from mllm.benchmarks.cobsat.judge import (
    CLIP,
    NUMBERS,
    PICTURES,
    SIDES,
    TAUGHT,
    Judge,
    compared_texts,
    judge_turns,
    shown_words,
    taught_turns,
    vocabulary,
)
from mllm.benchmarks.cobsat.prompt_lists import MODES as DATA_MODES
from mllm.benchmarks.cobsat.prompt_lists import MOST_SHOTS, Sample, count, samples
from mllm.benchmarks.cobsat.tasks import TASKS, Pair
from mllm.data.conversation import Media, Turn, image, user
from mllm.evaluation.request import (
    Choices,
    Picture,
    Reply,
    Request,
    Rounds,
    Text,
    content_key,
    described,
)
from mllm.registry import lookup

LOT = 1024  # prompts that are asked together: no more of their pictures are laid out at a time
JUDGE = "judge"


@dataclass(frozen=True)
class Drawing:
    """How pictures are drawn.

    Attributes:
      temperature, top_k, top_p, seed, words: see ``evaluation.request.Picture``.
      guidance: against the prompt without its shots. contrast: against the prompt without its
        query. At most one of them.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    words: str = ""
    guidance: float = 0.0
    contrast: float = 0.0


@dataclass(frozen=True)
class Protocol:
    """What is asked of every model.

    Attributes:
      data: "default" or "ft_test", which prompt list.
      tasks: their IDs. shots: pictures that are shown. types: of prompts. modes: "image", "text".
      prompts: of each task and number of shots, drawn from the list with ``seed``; 0 is all.
      fewer: of these, how many are asked in the types other than the first; 0 is all.
      image_style, text_style: whose instructions, keys of ``prompts.DEFAULT``.
      reply_tokens, analysis_tokens: the most of a description, and of an analysis.
      drawing: of pictures. judge: how it is asked; None asks none.

    Raises:
      ValueError: an unknown name, or nothing to ask.
    """

    name: str = "rounds"
    data: str = "default"
    tasks: tuple[int, ...] = tuple(TASKS)
    shots: tuple[int, ...] = (2, 4, 6, 8)
    types: tuple[str, ...] = PROMPT_TYPES
    modes: tuple[str, ...] = prompts.MODES
    prompts: int = 0
    fewer: int = 0
    seed: int = 0
    image_style: str = "seed"
    text_style: str = "llava"
    reply_tokens: int = 64
    analysis_tokens: int = 128
    drawing: Drawing = field(default_factory=Drawing)
    judge: Judge | None = field(default_factory=Judge)

    def __post_init__(self):
        lookup(dict.fromkeys(DATA_MODES), self.data, "data mode (evaluation.data)")
        for name, known in (("tasks", TASKS), ("types", PROMPT_TYPES), ("modes", prompts.MODES)):
            chosen = getattr(self, name)
            unknown = [one for one in chosen if one not in known]
            if unknown or not chosen:
                raise ValueError(
                    f"evaluation.{name} is {chosen!r}, expected some of {tuple(known)!r}"
                )
        most = MOST_SHOTS[self.data]
        if not self.shots or not all(1 <= shots <= most for shots in self.shots):
            raise ValueError(
                f"evaluation.shots is {self.shots!r}, expected numbers from 1 to {most}, the most "
                f"of data mode {self.data!r}"
            )
        for mode, style in (("image", self.image_style), ("text", self.text_style)):
            lookup(prompts.DEFAULT[mode], style, f"style (evaluation.{mode}_style)")

    def style(self, mode: str) -> str:
        """Return whose instructions prompts of a mode have."""
        return self.image_style if mode == "image" else self.text_style

    def of_modes(self, *modes: str) -> "Protocol":
        """Return the protocol with only some of its modes.

        Raises:
          ValueError: it has none of them.
        """
        return replace(self, modes=tuple(mode for mode in self.modes if mode in modes))

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable."""
        return asdict(self)


@dataclass(frozen=True)
class Asked:
    """One prompt: a sample in a type and a mode."""

    sample: Sample
    prompt: str
    mode: str


def chosen_samples(protocol: Protocol, task: int, shots: int) -> list[Sample]:
    """Return the samples of a task that are asked, the first ``fewer`` of them in all types.

    The same places of the list are drawn for all numbers of shots and all types of prompts, so that
    these can be compared prompt by prompt.
    """
    size = count(protocol.data, shots)
    order = list(range(size))
    random.Random(f"{protocol.seed}/{task}").shuffle(order)
    known = samples(task, shots, protocol.data)
    return [known[number] for number in order[: protocol.prompts or size]]


def asked(protocol: Protocol) -> Iterator[Asked]:
    """Yield all prompts; those of one sample follow each other.

    Samples whose list has no misleading words (see ``assemble.assemble``) are not asked so.
    """
    for task in protocol.tasks:
        for shots in protocol.shots:
            for place, sample in enumerate(chosen_samples(protocol, task, shots)):
                rare = protocol.fewer and place >= protocol.fewer
                for prompt in protocol.types[:1] if rare else protocol.types:
                    if prompt == "misleading" and not sample.wrong:
                        continue
                    for mode in protocol.modes:
                        yield Asked(sample, prompt, mode)


def notes(protocol: Protocol) -> list[str]:
    """Return lines about what is left out."""
    if "misleading" not in protocol.types:
        return []
    left = sum(
        not sample.wrong
        for task in protocol.tasks
        for shots in protocol.shots
        for sample in chosen_samples(protocol, task, shots)[: protocol.fewer or None]
    )
    return (
        [f"{left} samples are not asked as 'misleading': their list has no words"] if left else []
    )


def rounds(benchmark: Benchmark, protocol: Protocol) -> Rounds:
    """Yield the requests of all prompts, some at a time: first turns, second turns of chains of
    thought, and then what the judge is asked about the outputs.
    """
    for lot in _lots(asked(protocol)):
        first = [first_request(one, benchmark, protocol) for one in lot]
        unique = list({request.key: request for request in first}.values())
        replies = dict(zip([r.key for r in unique], (yield unique), strict=True))
        outputs: list[tuple[Request, Reply]] = []
        second: list[Request] = []
        for one, request in zip(lot, first, strict=True):
            reply = replies[request.key]
            if one.prompt == "cot":
                second.append(second_request(one, request, reply, protocol))
            else:
                outputs.append((request, reply))
        if second:
            outputs += zip(second, (yield second), strict=True)
        if protocol.judge is not None and (about := judge_requests(outputs, protocol.judge)):
            yield about


def first_request(one: Asked, benchmark: Benchmark, protocol: Protocol) -> Request:
    """Return the request of a prompt's first turn; of a chain of thought, that for an analysis."""
    turns = (first_turn(one, benchmark, protocol),)
    if one.prompt == "cot":  # the same in both modes
        tags = {**_tags(one), "mode": "", "part": "analysis"}
        return _request(one, turns, Text(protocol.analysis_tokens), tags)
    return _request(one, turns, _ask(one, turns, benchmark, protocol), _tags(one))


def second_request(one: Asked, first: Request, reply: Reply, protocol: Protocol) -> Request:
    """Return the request for the answer that follows an analysis, which goes on with its turns."""
    analysis = reply.text or ""
    turns = prompts.after_analysis(first.turns[0], analysis, one.sample, one.mode)
    ask = _text_or_picture(one, protocol)
    return _request(one, turns, ask, {**_tags(one), "analysis": analysis})


def judge_requests(outputs: Iterable[tuple[Request, Reply]], judge: Judge) -> list[Request]:
    """Return what the judge is asked about outputs; equal outputs are judged once."""
    found: dict[str, Request] = {}
    for request, reply in outputs:
        output = output_of(request, reply)
        if output is None or request.tags["mode"] not in judge.modes:
            continue
        forms = judge.forms if isinstance(output, Media) else set(judge.forms) - set(PICTURES)
        for side in SIDES:
            for form in sorted(forms):
                made = judge_request(request.tags["theme"], side, form, output, judge)
                found.setdefault(made.key, made)
    return list(found.values())


def judge_request(theme: str, side: str, form: str, output: Media | str, judge: Judge) -> Request:
    """Return one question to the judge."""
    if form in TAUGHT:
        turns, ask = taught_turns(theme, side, output), Choices(shown_words(theme, side))
    elif form in CLIP:
        turns, ask = (user(output),), Choices(compared_texts(theme, side, form))
    else:
        turns = judge_turns(theme, side, output, judge.cut)
        ask = Choices(NUMBERS) if form == "numbers" else Text(judge.tokens)
    # Themes that have the same objects ask alike about them, and so share a request.
    words = vocabulary(theme, side)
    tags = {"part": JUDGE, "output": named(output), "words": words, "side": side, "form": form}
    return Request(
        content_key(JUDGE, form, described(ask), turns=turns),
        tags["output"],
        tags,
        turns,
        ask,
        JUDGE,
    )


def named(output: Media | str) -> str:
    """Return what names an output in the judge's requests."""
    return output.digest if isinstance(output, Media) else output


def output_of(request: Request, reply: Reply) -> Media | str | None:
    """Return the drawing or the description of a reply; None where there is none."""
    if reply.state == "error":
        return None
    return reply.media if request.tags["mode"] == "image" else reply.text


def first_turn(one: Asked, benchmark: Benchmark, protocol: Protocol) -> Turn:
    """Return the first turn of a prompt, with the benchmark's pictures and captions."""

    def picture(pair: Pair) -> Media:
        return image(benchmark.picture(*pair))

    def caption(pair: Pair) -> str:
        return benchmark.caption(*pair)

    style = protocol.style(one.mode)
    return prompts.first_turn(one.sample, one.prompt, one.mode, style, picture, caption)


def _ask(
    one: Asked, turns: Sequence[Turn], benchmark: Benchmark, protocol: Protocol
) -> Picture | Text:
    drawing = protocol.drawing
    if one.mode == "text" or not (drawing.guidance or drawing.contrast):
        return _text_or_picture(one, protocol)
    return _text_or_picture(one, protocol, without(turns[0], one, bool(drawing.guidance)))


def without(turn: Turn, one: Asked, shots: bool) -> tuple[Turn, ...]:
    """Return a prompt without its shots, or without the words of its query."""
    parts = list(turn.parts)
    last = parts[-1]
    if shots:
        return (Turn(turn.role, (last,)),)
    unit = prompts.query_unit(one.sample, one.prompt)
    place = last.rfind(unit)
    left = last[:place] + last[place + len(unit) :]
    return (Turn(turn.role, (*parts[:-1], *([left] if left else []))),)


def _text_or_picture(
    one: Asked, protocol: Protocol, other: tuple[Turn, ...] = ()
) -> Picture | Text:
    if one.mode == "text":
        return Text(protocol.reply_tokens)
    values = asdict(protocol.drawing)
    if not other:
        values |= {"guidance": 0.0, "contrast": 0.0}
    return Picture(**values, other=other)


def _request(one: Asked, turns: tuple[Turn, ...], ask: Any, tags: dict[str, Any]) -> Request:
    key = content_key(_place(one, tags), described(ask), turns=turns)
    return Request(key, f"{one.sample.task.name}/{one.sample.number}", tags, turns, ask)


def _place(one: Asked, tags: dict[str, Any]) -> list[Any]:
    sample = one.sample
    return [sample.task.id, sample.shots, sample.number, one.prompt, tags["mode"]]


def _tags(one: Asked) -> dict[str, Any]:
    sample = one.sample
    return {
        "part": "answer",
        "task": sample.task.name,
        "theme": sample.task.theme,
        "shots": str(sample.shots),
        "prompt": one.prompt,
        "mode": one.mode,
        "number": sample.number,
        "sample": sample.name,
        "x": sample.task.x,
        "theta": sample.task.theta,
        "inputs": list(sample.inputs),
        "hidden": sample.theta,
        "shown": [list(pair) for pair in sample.shown],
        "truth": {"detail": sample.target.detail, "object": sample.target.object},
    }


def _lots(found: Iterable[Asked]) -> Iterator[list[Asked]]:
    """Yield prompts some at a time; those of one sample stay together."""
    lot: list[Asked] = []
    for one in found:
        if len(lot) >= LOT and one.sample != lot[-1].sample:
            yield lot
            lot = []
        lot.append(one)
    if lot:
        yield lot
