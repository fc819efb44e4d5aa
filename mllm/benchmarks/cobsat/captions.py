"""Captions of the pictures: one short sentence each, and which words a description mentions."""

import re

from mllm.benchmarks.cobsat.tasks import WORDS, Pair, display

# How a picture of an object or animal {a} with a detail is described; the first is the caption.
WORDINGS = ("{}.", "a picture of {}.", "this is {}.", "we see {}.")
PLACES = {
    "beach": "on a beach",
    "desert": "in a desert",
    "glacier": "on a glacier",
    "volcano": "in front of a volcano",
    "park": "in an amusement park",
    "gym": "in a gym",
    "waterfall": "in front of a waterfall",
    "space": "in space",
    "cave": "in a cave",
    "seafloor": "on the seafloor",
}
DOING = {
    "swim": "swimming",
    "sleep": "sleeping",
    "sing": "singing",
    "run": "running",
    "read": "reading",
    "fly": "flying",
    "eat": "eating",
    "drink": "drinking",
    "cry": "crying",
}
# Forms of a word, other than its own and the displayed one, by which descriptions mention it.
FORMS = {
    "swim": ("swims", "swimming"),
    "sleep": ("sleeps", "sleeping", "asleep"),
    "sing": ("sings", "singing"),
    "run": ("runs", "running"),
    "read": ("reads", "reading"),
    "fly": ("flies", "flying"),
    "eat": ("eats", "eating"),
    "drink": ("drinks", "drinking"),
    "cry": ("cries", "crying"),
    "wood": ("wooden",),
    "watercolor": ("watercolour",),
}


def caption(pair: Pair, wording: int = 0) -> str:
    """Return a sentence about a picture.

    Args:
      wording: a place in `WORDINGS`; 0 is the caption, the others are for training.

    Raises:
      ValueError: there is no such wording.
    """
    if not 0 <= wording < len(WORDINGS):
        raise ValueError(f"wording {wording}: there are the wordings 0 to {len(WORDINGS) - 1}")
    sentence = WORDINGS[wording].format(phrase(pair))
    return sentence[0].upper() + sentence[1:]


def phrase(pair: Pair) -> str:
    """Return the object or animal with its detail, such as "a red bag"."""
    theme, detail, name = pair
    if theme == "color" or detail == "angry" or detail == "sequined":
        return with_article(f"{detail} {name}")
    thing = with_article(name)
    if theme == "background":
        return f"{thing} {PLACES[detail]}"
    if theme == "action":
        return f"{thing} {DOING[detail]}"
    if theme == "texture":
        return f"{thing} made of {detail}"
    return f"{thing} in {display(detail)} style"


def mentioned(text: str, vocabulary: str) -> list[str]:
    """Return the words of a vocabulary that a text has, as whole words, in the vocabulary's order.

    Args:
      text: a description. vocabulary: a key of `tasks.WORDS`.

    A word counts as displayed or by itself, in the plural and in the forms of `FORMS`; "park" by
    itself counts too.
    """
    lowered = text.lower()
    return [word for word in WORDS[vocabulary] if _pattern(word).search(lowered)]


def _pattern(word: str) -> re.Pattern[str]:
    forms = {word, display(word), f"{word}s", *FORMS.get(word, ())}
    if word == "leaf":
        forms.add("leaves")
    if word == "box":
        forms.add("boxes")
    return re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, forms)))})\b")


def with_article(words: str) -> str:
    """Return words after the article that they need."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
