"""Commonsense and knowledge: what belongs where, comes from what, happens next, is missing."""

import random

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.icons import icon
from mllm.benchmarks.scale.generators.pairs import images, options_of, shuffled, twins
from mllm.benchmarks.scale.item import Draft

PLACES = {
    "sea": "ship", "desert": "camel", "snow": "sled", "night": "owl", "road": "truck",
    "forest": "deer",
}  # fmt: skip
"""A place that can be drawn, and what belongs there."""

SOURCES = {
    "egg": "hen", "apple": "apple tree", "wool": "sheep", "bread": "wheat", "honey": "bee",
    "milk": "cow",
}  # fmt: skip
"""A product and where it comes from."""

ENDS = {"pit": "it falls", "wall": "it bounces", "water": "it splashes", "floor": "it rolls on"}
"""What lies ahead of a rolling ball, and what happens next."""

FOODS = ("egg", "milk", "bread", "cheese", "honey", "apple", "lemon", "fish")


def place(rng: random.Random, side: int) -> Draft:
    """Ask what belongs in the place that is shown."""
    options, gold, twin = options_of(rng, tuple(PLACES.values()))
    where = {thing: name for name, thing in PLACES.items()}
    return twins(
        rng, side, _paint_place,
        [{"place": where[gold]}], [{"place": where[twin]}],
        ask={"belongs": options}, answers=(gold, twin), options=options, tag="F11",
        questions=(
            "What would you most likely find here?",
            "Which of these belongs in this place?",
            "What fits this scene best?",
        ),
        objects=(where[gold],),
    )  # fmt: skip


def _paint_place(canvas: Canvas, truth: Truth) -> None:
    name = truth["place"]
    if name == "night":
        canvas.rectangle(-9, -9, 109, 109, "#14204a", None)
        canvas.shape("moon", 65, 28, 26, "yellow", outline=None)
        for star in ((15, 18), (35, 45), (80, 62), (20, 72), (55, 85)):
            canvas.shape("star", *star, 9, "white", outline=None)
        return
    canvas.rectangle(-9, -9, 109, 109, "sky", None)
    if name == "sea":
        canvas.rectangle(-5, 40, 105, 105, "blue", None)
        for row, y in enumerate((54, 70, 86)):
            for wave in range(-1, 4):
                left = wave * 30 + row * 10
                canvas.line([(left, y), (left + 7, y - 5), (left + 14, y)], "white", 3)
    elif name == "desert":
        canvas.ellipse(75, 20, 22, 22, "yellow", None)
        canvas.ellipse(30, 95, 120, 70, "#e8b860")
        canvas.ellipse(95, 105, 110, 70, "#f2cf85")
        icon(canvas, "cactus", 32, 48, 34)
    elif name == "snow":
        canvas.polygon([(-5, 75), (32, 15), (70, 75)], "#7d8a9c")
        canvas.polygon([(20, 35), (32, 15), (45, 35), (32, 42)], "white")
        canvas.polygon([(50, 75), (80, 30), (115, 75)], "#7d8a9c")
        canvas.polygon([(70, 45), (80, 30), (91, 45), (80, 52)], "white")
        canvas.rectangle(-5, 70, 105, 105, "white", None)
    elif name == "road":
        canvas.rectangle(-5, 40, 105, 105, "#7cc36b", None)
        canvas.polygon([(42, 40), (58, 40), (95, 105), (5, 105)], "#555b63")
        for top, bottom in ((46, 53), (60, 70), (78, 94)):
            canvas.line([(50, top), (50, bottom)], "white", 4)
    else:
        canvas.rectangle(-5, 62, 105, 105, "#5b8f3c", None)
        for x, y in ((15, 40), (55, 36), (90, 42), (35, 62), (75, 64)):
            icon(canvas, "tree", x, y, 44)


def origin(rng: random.Random, side: int) -> Draft:
    """Show a product and three sources: ask where the product comes from."""
    products = rng.sample(tuple(SOURCES), 3)
    sources = [SOURCES[product] for product in products]
    gold, twin = rng.sample(range(3), 2)
    options = images(2, 4)

    def truths(product: str) -> list[Truth]:
        return [{"items": [name]} for name in (product, *sources)]

    return twins(
        rng, side, _paint_items, truths(products[gold]), truths(products[twin]),
        ask={"product": 0, "sources": [1, 2, 3]}, answers=(options[gold], options[twin]),
        options=options, tag="F11",
        questions=(
            "Which image shows where the thing in image 1 comes from?",
            "Where does the product in image 1 come from?",
            "Which image shows the source of image 1?",
        ),
        objects=(products[gold], *sources),
    )  # fmt: skip


def _paint_items(canvas: Canvas, truth: Truth) -> None:
    places = {1: ((50, 50, 76),), 2: ((28, 36, 50), (72, 66, 50))}[len(truth["items"])]
    for name, (x, y, size) in zip(truth["items"], places, strict=True):
        icon(canvas, name, x, y, size)


def next_event(rng: random.Random, side: int) -> Draft:
    """Show a ball that rolls towards something: ask what happens next."""
    options, gold, twin = options_of(rng, tuple(ENDS.values()))
    ahead = {event: name for name, event in ENDS.items()}
    colour, leftwards = rng.choice(("red", "orange", "purple")), rng.random() < 0.5
    times = tuple(float(t) for t in range(4))

    def truths(event: str) -> list[Truth]:
        return [
            {"ahead": ahead[event], "x": 12 + 14 * step, "colour": colour, "leftwards": leftwards}
            for step in range(4)
        ]

    return twins(
        rng, side, _paint_ball, truths(gold), truths(twin),
        ask={"next": options}, answers=(gold, twin), options=options, tag="F6", times=times,
        questions=(
            "What happens to the ball next?",
            "What will the ball do next?",
            "Predict what happens to the ball after the last frame.",
        ),
        objects=("ball", ahead[gold]),
    )  # fmt: skip


def _paint_ball(canvas: Canvas, truth: Truth) -> None:
    def across(x: float) -> float:
        return 100 - x if truth["leftwards"] else x

    def block(x0: float, y0: float, x1: float, y1: float, fill: str) -> None:
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        canvas.polygon([(across(x), y) for x, y in corners], fill)

    ahead = truth["ahead"]
    canvas.rectangle(-9, -9, 109, 109, "sky", None)
    block(-5, 60, 68 if ahead in ("pit", "water") else 105, 105, "#8a6a4a")
    if ahead == "water":
        block(68, 66, 105, 105, "blue")
        for y in (74, 84, 94):
            canvas.line([(across(74), y), (across(82), y - 4), (across(90), y)], "white", 3)
    elif ahead == "wall":
        block(72, 12, 105, 60, "#c0392b")
        for y in (28, 44):
            canvas.line([(across(72), y), (across(100), y)], "white", 2.4)
    canvas.ellipse(across(truth["x"]), 48, 22, 22, truth["colour"])


def recipe(rng: random.Random, side: int) -> Draft:
    """Give a recipe in words and the food that is there in pictures: ask what is missing."""
    needed = rng.sample(FOODS, 4)
    extra = rng.choice([food for food in FOODS if food not in needed])
    gold, twin = rng.sample(needed, 2)

    def truths(missing: str) -> list[Truth]:
        there = shuffled(rng, [food for food in needed if food != missing] + [extra])
        return [{"items": there[:2]}, {"items": there[2:]}]

    pictures, options = truths(gold), shuffled(rng, needed)
    return twins(
        rng, side, _paint_items, pictures, truths(twin),
        layout=(f"You need: {', '.join(needed)}. On the table:", 0, "In the fridge:", 1),
        ask={"needed": needed}, answers=(gold, twin), options=options, tag="F10",
        questions=(
            "What is missing for the recipe?",
            "Which ingredient do you still have to buy?",
            "What do you need that is not there?",
        ),
        objects=tuple(food for truth in pictures for food in truth["items"]),
    )  # fmt: skip


GENERATORS = {
    ("general", "single", "knowledge"): place,
    ("general", "multi", "knowledge"): origin,
    ("general", "frames", "knowledge"): next_event,
    ("general", "interleaved", "knowledge"): recipe,
}
