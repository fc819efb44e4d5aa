"""The words and the ten tasks of CoBSAT (arXiv:2402.01293, section 3, and the published configs).

A picture shows one *pair*: an object or an animal, and a detail of it (its color, background,
style, action or texture). In a task one side of the pair is written in the prompt (x), and the
other is hidden in the pictures (theta).
"""

from dataclasses import dataclass
from typing import NamedTuple

from mllm.registry import lookup

# Prompt lists hold places in these lists: their order is part of the protocol.
WORDS: dict[str, tuple[str, ...]] = {
    "color": (
        "yellow", "white", "red", "purple", "pink", "orange", "green", "brown", "blue", "black",
    ),
    "background": (
        "beach", "desert", "glacier", "volcano", "park", "gym", "waterfall", "space", "cave",
        "seafloor",
    ),
    "style": (
        "watercolor", "sketch", "pixel", "origami", "lego", "icon", "graffiti", "futuristic", "3d",
        "old",
    ),
    "action": ("swim", "sleep", "sing", "run", "read", "fly", "eat", "drink", "cry", "angry"),
    "texture": (
        "wood", "wicker", "sequined", "plastic", "paper", "metal", "leather", "lace", "denim",
        "ceramic",
    ),
    "object": ("leaf", "hat", "cup", "chair", "car", "box", "book", "ball", "bag", "apple"),
    "animal": (
        "zebra", "tiger", "sheep", "pig", "monkey", "lion", "dog", "cow", "cat", "bird",
    ),
}  # fmt: skip
KINDS = {
    "color": "object",
    "background": "animal",
    "style": "object",
    "action": "animal",
    "texture": "object",
}  # what has a detail of each theme
THEMES = tuple(KINDS)
DISPLAYED = {"3d": "wireframe", "park": "amusement park"}
_NAMED = {shown: word for word, shown in DISPLAYED.items()}


class Pair(NamedTuple):
    """What a picture shows: the detail of a theme, and the object or animal that has it."""

    theme: str
    detail: str
    object: str

    @property
    def kind(self) -> str:
        """Whether it is an "object" or an "animal"."""
        return KINDS[self.theme]

    @property
    def name(self) -> str:
        """The name of its published file, without the folder: "red_bag"."""
        return f"{self.detail}_{self.object}"


def pairs(theme: str | None = None) -> list[Pair]:
    """Return the 100 pairs of a theme, or all 500: object by object, details in their order."""
    if theme is not None:
        lookup(KINDS, theme, "theme")
    themes = THEMES if theme is None else (theme,)
    return [
        Pair(name, detail, object)
        for name in themes
        for object in WORDS[KINDS[name]]
        for detail in WORDS[name]
    ]


def display(word: str) -> str:
    """Return a word as prompts and the options of judges show it."""
    return DISPLAYED.get(word, word)


def undisplay(shown: str) -> str:
    """Return the word of a vocabulary that is shown so."""
    return _NAMED.get(shown, shown)


@dataclass(frozen=True)
class Task:
    """One of the ten tasks.

    Attributes:
      id: 1 to 10. name: as published, such as "Color-I". theme: of the detail.
      x: vocabulary of the words in the prompt. theta: vocabulary of what the pictures share.
    """

    id: int
    name: str
    theme: str
    x: str
    theta: str

    @property
    def infers_object(self) -> bool:
        """Whether theta is the object or animal (tasks "-I") or the detail ("-II")."""
        return self.theta != self.theme

    def pair(self, x: str, theta: str) -> Pair:
        """Return what the picture of a word shows under theta."""
        detail, object = (x, theta) if self.infers_object else (theta, x)
        return Pair(self.theme, detail, object)


TASKS: dict[int, Task] = {}
for _theme, _kind in KINDS.items():
    for _inference, _x, _theta in (("I", _theme, _kind), ("II", _kind, _theme)):
        _id = len(TASKS) + 1
        TASKS[_id] = Task(_id, f"{_theme.capitalize()}-{_inference}", _theme, _x, _theta)
