"""What a sentence about a photograph is about, found by its words."""

import re
from collections.abc import Iterable

# Words, or their beginnings, by topic. A sentence is about each topic that has a word in it.
WORDS = {
    "Color": "colou?r saturat hue palette tint tone white.balance vivid monochrom "
    "black.and.white b&w",
    "Composition": "compos crop frame framing balance negative.space lines? symmetr perspective "
    "thirds cent(?:re|er)ed horizon background foreground focal.point clutter",
    "Photography Techniques": "long.exposure motion shutter panning filter polari[sz]er",
    "Technical Aspects": "detail hdr resolution artefacts? artifacts? technical quality halo",
    "Lens": "lens wide.angle telephoto distort fish.?eye macro vignet flare",
    "Camera/Equipment": "camera flash tripod iso nois[ey] grain film",
    "Lighting": "light(?!room) shadow backlit back.light highlight sunset sunrise lamp",
    "Exposure": "expos overexposed underexposed blown dark bright contrast",
    "Post-Processing": "edit(?:ed|ing)? process photoshop clone retouch sharpen(?:ed|ing) dodg "
    "burn dehaze aberration lightroom",
    "Aperture and Focus": "focus depth.of.field dof bokeh aperture sharp soft blur f/\\d",
    "Storytelling": "story mood emotion feel expression narrative tells moment atmosphere humou?r",
}
FAULT = (
    r"\b(too|not|n't|lacks?|lacking|missing|distract\w*|unfortunately|but|however|over\w*exposed"
    r"|under\w*exposed|blown|blurr?y|soft|noisy|flat|dull|tilted|crooked|cluttered|harsh|weak|wish"
    r"|bit|little|lose|loses|lost|cut off)\b|n't\b"
)
ADVICE = (
    r"\b(should|could|would|might|try|consider|perhaps|maybe|suggest\w*|recommend\w*|next time"
    r"|needs?|better if|rather|instead|prefer|wish)\b"
)
_TOPICS = {
    topic: re.compile(r"\b(?:" + "|".join(words.split()) + ")", re.IGNORECASE)
    for topic, words in WORDS.items()
}
_FAULT, _ADVICE = (re.compile(words, re.IGNORECASE) for words in (FAULT, ADVICE))


def topics_of(sentence: str) -> list[str]:
    """Return the topics that a sentence is about."""
    return [topic for topic, words in _TOPICS.items() if words.search(sentence)]


def is_advice(sentence: str) -> bool:
    """Return whether a sentence says what to do."""
    return bool(_ADVICE.search(sentence))


def is_fault(sentence: str) -> bool:
    """Return whether a sentence finds fault."""
    return bool(_FAULT.search(sentence))


def by_topic(sentences: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the sentences about each topic that has any."""
    found: dict[str, list[str]] = {topic: [] for topic in WORDS}
    for sentence in sentences:
        for topic in topics_of(sentence):
            found[topic].append(sentence)
    return {topic: tuple(said) for topic, said in found.items() if said}
