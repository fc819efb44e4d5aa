"""Drawn portraits with known attributes, and the transformed pictures of the test set.

DiceBear draws an SVG from options that are all chosen here, so that what the picture shows is
known in words; resvg rasterises it. A portrait says nothing about any fact of the person.
"""

import functools
import importlib.metadata
import io
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dicebear
import numpy as np
import resvg_py
from PIL import Image, ImageEnhance, ImageFilter

SIZE = 336  # side in pixels, the size that CLIP ViT-L/14-336 takes

SKIN = {"light": "#f6cfb0", "tan": "#d9a06f", "brown": "#a5694a", "dark": "#613d2b"}
HAIR = {
    "black": "#24191a", "brown": "#6f4328", "blond": "#e2bd5c", "red": "#c2410c",
    "grey": "#b3b3b8", "pink": "#f28ab2", "blue": "#4263c4",
}  # fmt: skip
CLOTHES = {
    "red": "#d32f2f", "orange": "#f57c00", "yellow": "#fdd835", "green": "#388e3c",
    "blue": "#1e5fd0", "purple": "#7b1fa2", "pink": "#ec5f9a", "white": "#f4f4f4",
    "black": "#222222", "teal": "#00897b",
}  # fmt: skip
BACKGROUND = {
    "red": "#e57373", "orange": "#ffb066", "yellow": "#fff07c", "green": "#8bd18e",
    "blue": "#7db4f5", "purple": "#b794e6", "pink": "#fbb6d2", "white": "#ffffff",
    "grey": "#9aa0a6", "teal": "#63cfc3",
}  # fmt: skip

# style -> component -> presentation -> {variant of DiceBear: words}
HAIRSTYLES: dict[str, dict[str, dict[str, str]]] = {
    "open-peeps": {
        "female": {
            "bangs": "hair with bangs", "bun": "a bun", "buns": "two buns", "long": "long hair",
            "longAfro": "a long afro", "longBangs": "long hair with bangs", "hijab": "a hijab",
            "longCurly": "long curly hair", "medium1": "medium hair", "afro": "an afro",
            "mediumStraight": "medium straight hair", "bantuKnots": "hair in knots",
            "hatHip": "a hat",
        },
        "male": {
            "short1": "short hair", "short4": "short combed hair", "flatTop": "a flat top",
            "mohawk": "a mohawk", "noHair1": "no hair", "pomp": "a pompadour", "afro": "an afro",
            "dreads1": "dreadlocks", "shaved1": "shaved hair", "turban": "a turban",
            "hatBeanie": "a beanie", "cornrows": "cornrows", "twists": "twists",
        },
    },
    "personas": {
        "female": {
            "bobBangs": "a bob with bangs", "bobCut": "a bob", "curlyBun": "a curly bun",
            "extraLong": "very long hair", "long": "long hair", "pigtails": "pigtails",
            "straightBun": "a straight bun", "curly": "curly hair", "beanie": "a beanie",
            "bunUndercut": "a bun with an undercut",
        },
        "male": {
            "bald": "no hair", "balding": "balding hair", "buzzcut": "a buzz cut", "cap": "a cap",
            "curlyHighTop": "a curly high top", "fade": "a fade", "mohawk": "a mohawk",
            "shortCombover": "a combover", "sideShave": "a shaved side", "beanie": "a beanie",
        },
    },
    "toon-head": {
        "female": {"bun": "a bun", "sideComed": "side-combed hair"},
        "male": {"spiky": "spiky hair", "sideComed": "side-combed hair", "undercut": "an undercut"},
    },
}  # fmt: skip
REAR_HAIR = {
    "longStraight": "long straight", "longWavy": "long wavy", "neckHigh": "neck-length",
    "shoulderHigh": "shoulder-length",
}  # fmt: skip
GLASSES = {
    "open-peeps": {
        "glasses": "glasses", "glasses2": "round glasses", "glasses5": "large glasses",
        "sunglasses": "sunglasses", "eyepatch": "an eyepatch",
    },
    "personas": {"glasses": "glasses", "sunglasses": "sunglasses"},
    "toon-head": {},
}  # fmt: skip
FACIAL_HAIR = {
    "open-peeps": {
        "chin": "a chin beard", "full": "a full beard", "goatee1": "a goatee",
        "moustache1": "a moustache", "full4": "a long beard",
    },
    "personas": {
        "beardMustache": "a full beard", "goatee": "a goatee", "walrus": "a moustache",
        "pyramid": "a pointed moustache", "soulPatch": "a chin beard",
    },
    "toon-head": {
        "chin": "a chin beard", "fullBeard": "a full beard", "longBeard": "a long beard",
        "moustacheTwirl": "a moustache",
    },
}  # fmt: skip
GARMENTS = {
    "open-peeps": {"": "a top"},
    "personas": {
        "checkered": "a checkered shirt", "rounded": "a round-neck shirt", "small": "a shirt",
        "squared": "a square-neck shirt",
    },
    "toon-head": {
        "openJacket": "a jacket", "shirt": "a shirt", "tShirt": "a T-shirt",
        "turtleNeck": "a turtleneck",
    },
}  # fmt: skip
EXPRESSIONS = {
    "open-peeps": ("calm", "smile", "smileBig", "serious", "solemn", "driven", "cute", "awe"),
    "personas": ("bigSmile", "smile", "smirk", "lips", "surprise"),
    "toon-head": ("laugh", "smile", "agape", "sad"),
}
COVERED = ("no hair", "a hijab", "a turban", "a hat", "a beanie", "a cap")
STYLE_WORDS = {"open-peeps": "an ink sketch", "personas": "a flat figure", "toon-head": "a cartoon"}
STYLES = tuple(STYLE_WORDS)


@dataclass(frozen=True)
class Look:
    """One portrait: the options for DiceBear and what they show, in words."""

    style: str
    options: dict[str, Any]
    attributes: dict[str, str]


def draw_looks(genders: Sequence[str], seed: int, purpose: str) -> list[Look]:
    """Draw one look per gender presentation ("female" or "male"), all different.

    Pairs of background and clothes colour are used up before one repeats, so that people differ
    strongly even at 64 pixels.
    """
    generator = random.Random(f"{seed}/portraits/{purpose}")
    pairs = [(back, wear) for back in BACKGROUND for wear in CLOTHES if back != wear]
    looks: list[Look] = []
    seen: set[str] = set()
    deck: list[tuple[str, str]] = []
    for number, gender in enumerate(genders):
        if not deck:
            deck = generator.sample(pairs, len(pairs))
        background, clothes = deck.pop()
        look = None
        while look is None or json.dumps(look.options, sort_keys=True) in seen:
            look = _draw_look(STYLES[number % 3], gender, background, clothes, generator)
        seen.add(json.dumps(look.options, sort_keys=True))
        looks.append(look)
    return looks


def _draw_look(
    style: str, gender: str, background: str, clothes: str, generator: random.Random
) -> Look:
    def pick(table: dict[str, str]) -> tuple[str, str]:
        return generator.choice(list(table.items()))

    hair_variant, hair = pick(HAIRSTYLES[style][gender])
    hair_colour, skin = generator.choice(list(HAIR)), generator.choice(list(SKIN))
    garment_variant, garment = pick(GARMENTS[style])
    glasses_variant, glasses = "", "none"
    if GLASSES[style] and generator.random() < 0.35:
        glasses_variant, glasses = pick(GLASSES[style])
    beard_variant, beard = "", "none"
    if gender == "male" and generator.random() < 0.45:
        beard_variant, beard = pick(FACIAL_HAIR[style])
    expression = generator.choice(EXPRESSIONS[style])
    options: dict[str, Any] = {
        "seed": "fixed",
        "size": SIZE,
        "backgroundColor": [BACKGROUND[background]],
        "skinColor": [SKIN[skin]],
    }
    if style == "open-peeps":
        options |= {
            "headVariant": [hair_variant],
            "headContrastColor": [HAIR[hair_colour]],
            "clothingColor": [CLOTHES[clothes]],
            "expressionVariant": [expression],
            "maskProbability": 0,
            **_maybe("accessories", glasses_variant),
            **_maybe("facialHair", beard_variant),
        }
    elif style == "personas":
        options |= {
            "hairVariant": [hair_variant],
            "hairColor": [HAIR[hair_colour]],
            "facialHairColor": [HAIR[hair_colour]],
            "clothesVariant": [garment_variant],
            "clothingColor": [CLOTHES[clothes]],
            "eyesVariant": [glasses_variant or "open"],
            "mouthVariant": [expression],
            "noseVariant": [generator.choice(("mediumRound", "smallRound"))],
            **_maybe("facialHair", beard_variant),
        }
    else:
        rear = generator.choice(list(REAR_HAIR)) if gender == "female" else ""
        hair = f"{REAR_HAIR[rear]} hair with {hair}" if rear and "bun" in hair else hair
        hair = f"{REAR_HAIR[rear]} {hair}" if rear and "bun" not in hair else hair
        options |= {
            "hairVariant": [hair_variant],
            "hairColor": [HAIR[hair_colour]],
            "clothesVariant": [garment_variant],
            "clothesColor": [CLOTHES[clothes]],
            "mouthVariant": [expression],
            "eyesVariant": [generator.choice(("happy", "humble", "wide"))],
            "eyebrowsVariant": [generator.choice(("happy", "neutral", "raised"))],
            **_maybe("rearHair", rear),
            **_maybe("beard", beard_variant),
        }
    attributes = {
        "style": STYLE_WORDS[style],
        "presentation": gender,
        "hair": hair,
        "hair_colour": hair_colour,
        "skin": skin,
        "glasses": glasses,
        "facial_hair": beard,
        "clothes": garment,
        "clothes_colour": clothes,
        "background": background,
    }
    if style == "open-peeps":
        attributes["hair_colour"] = hair_colour if _takes_colour(hair_variant) else "black"
    if hair in COVERED:
        del attributes["hair_colour"]
    return Look(style, options, attributes)


def _maybe(component: str, variant: str) -> dict[str, Any]:
    """Return the options that force a component to this variant, or leave it out if it is ""."""
    if not variant:
        return {f"{component}Probability": 0}
    return {f"{component}Variant": [variant], f"{component}Probability": 100}


@functools.cache
def _style(name: str) -> tuple[dicebear.Style, dict[str, Any]]:
    """Read a style from the installed package; it is data, nothing of it is imported."""
    folder = importlib.metadata.distribution("dicebear-styles").locate_file("dicebear_styles")
    definition = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return dicebear.Style(definition), definition


def _takes_colour(head: str) -> bool:
    """Say whether an ink sketch fills this hair with a colour; most of it is black ink."""
    variants = _style("open-peeps")[1]["components"]["head"]["variants"]
    return "headContrast" in json.dumps(variants[head])


def render(look: Look) -> bytes:
    """Return the portrait as PNG bytes, 336 x 336 RGB."""
    svg = dicebear.Avatar(_style(look.style)[0], look.options).to_string()
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return _encode(Image.open(io.BytesIO(png)).convert("RGB"))


def attribution() -> str:
    """Return the licence line of each style in use."""
    lines = [_style(name)[1]["meta"]["license"]["text"] for name in STYLES]
    return "\n".join(f"{name}: {line}" for name, line in zip(STYLES, lines, strict=True))


def transform(png: bytes, seed: str) -> tuple[bytes, ...]:
    """Return three other pictures of the same person, as PNG bytes of the same size.

    One is mirrored, turned and zoomed; one is a shifted crop in another light; one is turned,
    blurred and noisy. Each change is mild: the person is recognisable at 64 pixels.
    """
    generator = random.Random(f"transform/{seed}")
    image = Image.open(io.BytesIO(png)).convert("RGB")
    fill = image.getpixel((2, 2))

    def turn(picture: Image.Image, degrees: float) -> Image.Image:
        return picture.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)

    def crop(picture: Image.Image, share: float) -> Image.Image:
        side = round(SIZE * share)
        left, top = generator.randint(0, SIZE - side), generator.randint(0, SIZE - side)
        box = (left, top, left + side, top + side)
        return picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)

    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored = crop(turn(mirrored, generator.uniform(3, 9) * generator.choice((-1, 1))), 0.93)
    lit = crop(image, generator.uniform(0.82, 0.9))
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        lit = change(lit).enhance(generator.uniform(0.8, 1.2))
    blurred = turn(image, generator.uniform(3, 9) * generator.choice((-1, 1)))
    blurred = blurred.filter(ImageFilter.GaussianBlur(generator.uniform(1.5, 2.5)))
    return tuple(_encode(picture) for picture in (mirrored, lit, _add_noise(blurred, generator)))


def _add_noise(image: Image.Image, generator: random.Random) -> Image.Image:
    """Add grain of 4-pixel squares, which neither vanishes at 64 pixels nor bloats the file."""
    cells = SIZE // 4
    grain = np.frombuffer(generator.randbytes(cells * cells), np.uint8).astype(np.int16) % 25 - 12
    grain = grain.reshape(cells, cells).repeat(4, axis=0).repeat(4, axis=1)
    noisy = np.asarray(image, np.int16) + grain[:, :, None]
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _encode(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=6)
    return stream.getvalue()
