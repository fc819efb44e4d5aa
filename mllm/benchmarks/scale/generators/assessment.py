"""Assessment: feelings of faces, faults of a photograph, ranks by quality."""

import io
import random

from PIL import Image, ImageEnhance, ImageFilter

from mllm.benchmarks.scale.draw import Canvas
from mllm.benchmarks.scale.generators.common import Truth
from mllm.benchmarks.scale.generators.icons import icon
from mllm.benchmarks.scale.generators.pairs import ORDERS, options_of, phrase, twins
from mllm.benchmarks.scale.item import Draft

FEELINGS = ("happy", "sad", "angry", "surprised", "sleepy")
SKINS = ("#f6cfb0", "#d9a06f", "#a5694a", "#ffdd66")
FAULTS = ("blurred", "too dark", "tilted", "speckled", "no fault")
SUBJECTS = ("house", "tree", "car", "boat", "sheep", "hen")
NAMES = ("Ann", "Bob", "Mia", "Tom", "Eva", "Leo")

RANKS = {
    "blur": ("the sharpest", "the most blurred", (0, 3, 8)),
    "specks": ("the cleanest", "the most speckled", (0, 9, 40)),
    "smile": ("the happiest", "the saddest", (1, 0, -1)),
}
"""What images are sorted by: the words for first and last, and the levels from first to last."""


def single(rng: random.Random, side: int) -> Draft:
    """Ask for a feeling or for the fault of a photograph."""
    return rng.choice((feeling, fault))(rng, side)


def feeling(rng: random.Random, side: int) -> Draft:
    """Ask how a person feels."""
    options, gold, twin = options_of(rng, FEELINGS)
    skin = rng.choice(SKINS)
    faces = [{"feeling": name, "skin": skin} for name in (gold, twin)]
    return twins(
        rng, side, _paint_face, faces[:1], faces[1:], ask={"what": "feeling"},
        answers=(gold, twin), options=options, objects=("face",),
        questions=(
            "How does this person feel?",
            "What feeling does the face show?",
            "Which mood is this person in?",
        ),
    )  # fmt: skip


def _paint_face(canvas: Canvas, truth: Truth) -> None:
    """Draw a face with a feeling, or with a smile from 1 (broad) to -1 (turned down)."""
    mood = truth["feeling"]
    canvas.ellipse(50, 50, 86, 86, truth["skin"], width=2.4)
    for x, inwards in ((33, 1), (67, -1)):
        if mood == "sleepy":
            canvas.arc(x, 40, 18, 14, 0, 180, width=4)
            continue
        wide = 17 if mood == "surprised" else 11
        canvas.ellipse(x, 42, wide, wide + 2, "white" if mood == "surprised" else "black")
        if mood == "surprised":
            canvas.ellipse(x, 42, 7, 8, "black")
        brow = {"angry": 5, "sad": -4}.get(mood, 0) * inwards
        height = 22 if mood == "surprised" else 28
        canvas.line([(x - 9, height - brow), (x + 9, height + brow)], "black", 4)
    if mood == "surprised":
        canvas.ellipse(50, 72, 16, 20, "black")
    elif mood in ("happy", 1):
        canvas.arc(50, 60, 42, 32, 15, 165, "black", 5)
    elif mood in ("sad", "angry", -1):
        canvas.arc(50, 80, 36, 26, 200, 340, "black", 5)
    else:
        canvas.line([(40, 72), (60, 72)], "black", 5)


def fault(rng: random.Random, side: int) -> Draft:
    """Ask what is wrong with a photograph."""
    options, gold, twin = options_of(rng, FAULTS)
    subject, seed = rng.choice(SUBJECTS), rng.randrange(1000)
    photos = [{"fault": name, "subject": subject, "seed": seed} for name in (gold, twin)]
    return twins(
        rng, side, _paint_photo, photos[:1], photos[1:], ask={"what": "fault"},
        answers=(gold, twin), options=options, objects=(subject,),
        questions=(
            "What is wrong with this photo?",
            "Which fault does the photo have?",
            "How would you judge the quality of this photo?",
        ),
    )  # fmt: skip


def _paint_photo(canvas: Canvas, truth: Truth) -> None:
    """Draw a photograph with its fault: a subject on grass under the sky."""
    kind = truth["fault"]
    canvas.rectangle(-9, -9, 109, 109, "sky", None)
    canvas.rectangle(-5, 66, 105, 105, "#69b35a", None)
    icon(canvas, truth["subject"], 50, 52, 66)
    places = random.Random(truth["seed"])
    for _ in range(truth.get("specks", 40 if kind == "speckled" else 0)):
        x, y = places.uniform(4, 96), places.uniform(4, 96)
        canvas.ellipse(x, y, 5, 5, places.choice(("black", "white")), None)
    blur = truth.get("blur", 6 if kind == "blurred" else 0)
    if not blur and kind not in ("too dark", "tilted"):
        return
    with Image.open(io.BytesIO(canvas.png())) as image:
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(canvas.side * blur / 100))
        elif kind == "too dark":
            image = ImageEnhance.Brightness(image).enhance(0.22)
        else:
            image = image.rotate(28, Image.Resampling.BICUBIC, fillcolor="white")
        stream = io.BytesIO()
        image.save(stream, "PNG")
    left, top = canvas.shift  # the photograph is moved already
    canvas.paste(stream.getvalue(), 50 - left, 50 - top, 100)


def rank(rng: random.Random, side: int) -> Draft:
    """Ask for the order of three images by sharpness, cleanness or smile."""
    what = rng.choice(tuple(RANKS))
    best, worst, levels = RANKS[what]
    gold, twin = rng.sample(tuple(ORDERS), 2)
    subject, skin = rng.choice(SUBJECTS), rng.choice(SKINS)
    seed = rng.randrange(1000)

    def truths(order: str) -> list[Truth]:
        placed = dict(zip(ORDERS[order], levels, strict=True))
        if what == "smile":
            return [{"feeling": placed[n], "skin": skin} for n in (1, 2, 3)]
        return [{"fault": "", what: placed[n], "subject": subject, "seed": seed} for n in (1, 2, 3)]

    return twins(
        rng, side, _paint_face if what == "smile" else _paint_photo, truths(gold), truths(twin),
        ask={"rank by": what}, kind="order", candidates=tuple(ORDERS),
        answers=(gold, twin),
        objects=("face",) if what == "smile" else (subject,),
        questions=phrase(
            (
                "Sort the images from {best} to {worst}.",
                "Rank the images: {best} first, {worst} last.",
                "Give the image numbers in order, {best} first.",
            ),
            best=best, worst=worst,
        ),
    )  # fmt: skip


def who_feels(rng: random.Random, side: int) -> Draft:
    """Show three named people: ask who has a feeling."""
    names = rng.sample(NAMES, 3)
    asked, *others = rng.sample(FEELINGS, 3)
    options, gold, twin = options_of(rng, names, 3)
    skins = rng.sample(SKINS, 3)

    def truths(name: str) -> list[Truth]:
        place = names.index(name)
        moods = [*others[:place], asked, *others[place:]]
        return [{"feeling": mood, "skin": skin} for mood, skin in zip(moods, skins, strict=True)]

    return twins(
        rng, side, _paint_face, truths(gold), truths(twin),
        layout=tuple(part for k, name in enumerate(names) for part in (f"{name}:", k)),
        ask={"feeling": asked, "names": names}, answers=(gold, twin), options=options, tag="F7",
        objects=("face",),
        questions=phrase(
            ("Who is {mood}?", "Which person looks {mood}?", "Name the person who feels {mood}."),
            mood=asked,
        ),
    )  # fmt: skip


GENERATORS = {
    ("general", "single", "assessment"): single,
    ("general", "multi", "assessment"): rank,
    ("general", "interleaved", "assessment"): who_feels,
}
