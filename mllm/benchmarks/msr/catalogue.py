"""The generated items: what they are, before they are drawn.

An item is a video with a cover and a title. The cover shows its subject, in front of a pattern in
a colour; the title names the subject and tells the genre. So colour and pattern are known from the
picture alone, the genre from the title alone, and the subject from both.
"""

import itertools
import random
from collections.abc import Mapping, Sequence

from mllm.benchmarks.msr.rows import Item

SUBJECTS = {
    "cat": "🐈", "bird": "🐦", "fish": "🐟", "car": "🚗", "guitar": "🎸", "cake": "🍰",
    "flower": "🌷", "rocket": "🚀",
}  # fmt: skip
COLOURS = ("red", "yellow", "green", "blue", "purple", "grey")
PATTERNS = ("plain", "stripes", "dots", "checks")
TITLES = {
    "comedy": ("The funniest {} ever", "Try not to laugh at this {}", "A very silly {}"),
    "tutorial": ("How to draw a {}", "Learn to paint a {} step by step", "How to photograph a {}"),
    "documentary": ("The true story of a {}", "The secret history of the {}", "Inside the {}"),
    "music": ("A song about a {}", "Dance along with the {}", "The {} sings the blues"),
}
VALUES: dict[str, tuple[str, ...]] = {
    "subject": tuple(SUBJECTS),
    "colour": COLOURS,
    "pattern": PATTERNS,
    "genre": tuple(TITLES),
}
"""What taste is about: the values of each attribute."""
SHOWN = ("subject", "colour", "pattern")
"""The attributes that the picture shows; the title tells subject and genre."""


def make_catalogue(count: int, late: int, skew: float, seed: int) -> list[Item]:
    """Return items without pictures, in the order of their IDs.

    Args:
      count: of all items.
      late: how many of them are released late.
      skew: exponent of the pull of early items, which falls as rank**-skew; late ones all have the
        mean pull, so that being new says little about being taken.
      seed: of the catalogue.

    Returns:
      Items whose attributes also hold "release", "early" or "late", and "pull": how much they are
      taken at equal taste, in units of the mean. Popularity is not counted yet.
    """
    rng = random.Random(f"{seed}/catalogue")
    early = count - late
    falling = [(rank + 1) ** -skew for rank in range(early)]
    pulls = [early * pull / sum(falling) for pull in falling] + [1.0] * late
    places = list(range(count))
    rng.shuffle(places)  # neither the ID nor the place says how popular an item is
    items: list[Item] = []
    said: dict[str, int] = {}
    kinds = _kinds(count, rng)
    for number, (place, values) in enumerate(zip(places, kinds, strict=True), 1):
        release = "late" if place >= early else "early"
        more = {"release": release, "pull": f"{pulls[place]:.6f}"}
        items.append(_item(str(number), values, _title(values, rng, said), more))
    return items


def make_gallery(count: int, catalogue: Sequence[Item], seed: int) -> list[Item]:
    """Return further items without pictures, with other IDs than those of a catalogue.

    They are to learn from what pictures show, without a look at those that users can take.
    """
    rng = random.Random(f"{seed}/gallery")
    said: dict[str, int] = {}
    return [
        _item(str(number), values, _title(values, rng, said), {})
        for number, values in enumerate(_kinds(count, rng), len(catalogue) + 1)
    ]


def _kinds(count: int, rng: random.Random) -> list[dict[str, str]]:
    """Return values of all attributes, each combination as often as the others or once more."""
    kinds = list(itertools.product(*VALUES.values()))
    rng.shuffle(kinds)
    return [dict(zip(VALUES, kinds[k % len(kinds)], strict=True)) for k in range(count)]


def _item(id: str, values: Mapping[str, str], title: str, more: Mapping[str, str]) -> Item:
    description = f"A {values['genre']} video with a {values['subject']}."
    return Item(id, title, description, None, {**values, **more})


def _title(values: Mapping[str, str], rng: random.Random, said: dict[str, int]) -> str:
    """Return a title; one that was said before becomes its next part."""
    title = rng.choice(TITLES[values["genre"]]).format(values["subject"])
    said[title] = said.get(title, 0) + 1
    return title if said[title] == 1 else f"{title}, part {said[title]}"
