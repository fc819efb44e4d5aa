"""Temporal order: sort pictures, tell order and duration in frames, continue a story."""

import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.pairs import ORDERS, colours, options_of, phrase, twins
from mllm.benchmarks.scale.item import Draft

PROCESSES = {
    "candle": ("A candle burns down.", -1),
    "plant": ("A plant grows.", 1),
    "glass": ("Somebody drinks.", -1),
    "sun": ("The sun goes down.", -1),
    "balloon": ("A balloon is blown up.", 1),
}
"""What happens, and whether the level that is drawn rises (1) or falls (-1) with time."""

LEVELS = 5
CHANGES = {
    "glass": ("fuller", "emptier"),
    "sun": ("higher", "lower"),
    "balloon": ("bigger", "smaller"),
}
"""Processes that go both ways, and how a higher and a lower level look."""

UNCHANGED = "unchanged"


def _paint_process(canvas: Canvas, truth: Truth) -> None:
    """Draw a process at a level from 1 to `LEVELS`."""
    part, name = truth["level"] / LEVELS, truth["process"]
    if name == "candle":
        top = 86 - 58 * part
        canvas.rectangle(36, top, 64, 88, "red")
        canvas.line([(50, top), (50, top - 7)], "black", 3)
        canvas.ellipse(50, top - 12, 11, 16, "orange")
        canvas.rectangle(20, 86, 80, 94, "brown")
    elif name == "plant":
        top = 72 - 56 * part
        canvas.line([(50, 75), (50, top)], "green", 6)
        for level in range(truth["level"]):
            y, way = 66 - level * 11, 1 if level % 2 else -1
            canvas.polygon([(50, y), (50 + way * 30, y - 12), (50 + way * 12, y - 16)], "green")
        canvas.polygon([(30, 72), (70, 72), (64, 96), (36, 96)], "orange")
    elif name == "glass":
        canvas.rectangle(28, 14, 72, 90, "white", width=3)
        canvas.rectangle(30, 88 - 70 * part, 70, 88, "blue", None)
    elif name == "sun":
        canvas.ellipse(50, 92 - 74 * part, 32, 32, "orange")
        canvas.rectangle(-5, 72, 105, 105, "green")
    else:
        canvas.line([(50, 50), (50, 96)], "black", 2.5)
        size = 12 + 66 * part
        canvas.ellipse(50, 46, size, size, "red")


def sort_images(rng: random.Random, side: int) -> Draft:
    """Show three moments of a process in random order: ask for the order in time."""
    process, levels = rng.choice(tuple(PROCESSES)), rng.choice(((1, 3, 5), (1, 2, 4), (2, 4, 5)))
    said, way = PROCESSES[process]
    gold, twin = rng.sample(tuple(ORDERS), 2)

    def truths(order: str) -> list[Truth]:
        placed = dict(zip(ORDERS[order], levels[::way], strict=True))
        return [{"process": process, "level": placed[n]} for n in (1, 2, 3)]

    return twins(
        rng, side, _paint_process, truths(gold), truths(twin),
        ask={"rises": way > 0}, kind="order", candidates=tuple(ORDERS), tag="F6",
        answers=(gold, twin), objects=(process,),
        questions=phrase(
            (
                "{said} In which order were the images taken?",
                "{said} Sort the images from first to last.",
                "{said} Give the numbers of the images in order of time.",
            ),
            said=said,
        ),
    )  # fmt: skip


def order_in_frames(rng: random.Random, side: int) -> Draft:
    """Ask which of four colours a lamp shows at some place of the order."""
    shown = colours(rng, 4, without=("black",))
    place = rng.randrange(4)
    options, gold, twin = options_of(rng, shown)

    def truths(colour: str) -> list[Truth]:
        others = [other for other in rng.sample(shown, 4) if other != colour]
        order = [*others[:place], colour, *others[place:]]
        return [{"lamps": [name]} for name in order]

    return twins(
        rng, side, _paint_lamps, truths(gold), truths(twin),
        ask={"order": place}, answers=(gold, twin), options=options, tag="F6", objects=("lamp",),
        times=(0.0, 1.0, 2.0, 3.0),
        questions=phrase(
            (
                "Which colour does the lamp show {place}?",
                "What is the colour of the lamp that comes {place}?",
                "Which colour comes {place}?",
            ),
            place=("first", "second", "third", "last")[place],
        ),
    )  # fmt: skip


def duration_in_frames(rng: random.Random, side: int) -> Draft:
    """Show two lamps that go out at different times: ask how long one of them is on."""
    first, second = colours(rng, 2, without=("black",))
    step = rng.choice((1, 2, 5))
    asked = rng.randrange(2)
    gold, twin = rng.sample((1, 2, 3), 2)

    def truths(length: int) -> list[Truth]:
        other = rng.choice([frames for frames in (1, 2, 3) if frames != length])
        lit = (length, other) if asked == 0 else (other, length)
        return [
            {
                "lamps": [first if k < lit[0] else "off", second if k < lit[1] else "off"],
            }
            for k in range(4)
        ]

    return twins(
        rng, side, _paint_lamps, truths(gold), truths(twin),
        ask={"lamp": asked, "step": step}, answers=(str(gold * step), str(twin * step)),
        kind="number", candidates=[str(frames * step) for frames in (1, 2, 3)], tag="F6",
        objects=("lamp",), times=tuple(float(step * k) for k in range(4)),
        questions=phrase(
            (
                "After how many seconds is the {colour} lamp off?",
                "For how many seconds is the {colour} lamp on?",
                "At which second has the {colour} lamp gone out?",
            ),
            colour=(first, second)[asked],
        ),
    )  # fmt: skip


def _paint_lamps(canvas: Canvas, truth: Truth) -> None:
    lamps = truth["lamps"]
    for place, colour in enumerate(lamps):
        x, size = (50, 62) if len(lamps) == 1 else (27 + 46 * place, 40)
        canvas.rectangle(x - size * 0.22, 50, x + size * 0.22, 50 + size * 0.7, "grey")
        canvas.ellipse(x, 45, size, size, "white" if colour == "off" else colour)


def in_frames(rng: random.Random, side: int) -> Draft:
    """Ask for an order or for a duration."""
    return rng.choice((order_in_frames, duration_in_frames))(rng, side)


def continue_story(rng: random.Random, side: int) -> Draft:
    """Tell a story in three moments, each with its picture: ask what the next one shows."""
    process = rng.choice(tuple(CHANGES))
    more, less = CHANGES[process]
    slopes = {more: 1, less: -1, UNCHANGED: 0}
    options, gold, twin = options_of(rng, tuple(slopes), 3)
    name = rng.choice(("Mia", "Tom", "Ana", "Ben"))

    def truths(change: str) -> list[Truth]:
        slope = slopes[change]
        start = rng.choice((2, 3, 4)) if slope == 0 else (2 if slope > 0 else 4)
        levels = [start + slope * (k - (slope != 0)) for k in range(3)]
        return [{"process": process, "level": level} for level in levels]

    return twins(
        rng, side, _paint_process, truths(gold), truths(twin),
        layout=(f"{name} looks at the {process} at nine:", 0, "At ten:", 1, "At eleven:", 2),
        ask={"change": slopes}, answers=(gold, twin), options=options, tag="F6",
        objects=(process,),
        questions=phrase(
            (
                "How will the {process} look at twelve?",
                "What will {name} see at twelve?",
                "How does the story go on?",
            ),
            process=process, name=name,
        ),
    )  # fmt: skip


GENERATORS = {
    ("general", "multi", "temporal"): sort_images,
    ("general", "frames", "temporal"): in_frames,
    ("general", "interleaved", "temporal"): continue_story,
}
