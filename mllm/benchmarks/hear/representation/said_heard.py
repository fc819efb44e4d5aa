"""The conversations whose states are compared: kinds of sounds named in text, and heard.

Both end with the same question, so that the state from which the reply is written can be compared
too. N states, P places, L layers, D width.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import (
    CAPTION,
    CAPTIONS,
    about_caption,
    about_sound,
    caption_of,
)
from mllm.benchmarks.hear.row import Clip
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.states import (
    Reading,
    differing_places,
    encoded_prompts,
    last_place,
    media_place,
    read_states,
)

# The tokens of the sound or of its name, and the last token, after which the reply begins.
PLACES = ("concept", "reply")
# The wording that no probe learns from: a name in it is written as within other sentences.
HELD = 0


@dataclass(frozen=True)
class States:
    """States of one kind.

    Attributes:
      leaves: the leaf of each, N of them. clusters: what each is a sample of.
      values: float32[N, P, L + 1, D].
    """

    leaves: tuple[str, ...]
    clusters: tuple[str, ...]
    values: np.ndarray

    def at(self, place: int, layer: int) -> np.ndarray:
        """Return the states float32[N, D] of a place after a layer."""
        return self.values[:, place, layer]

    def select(self, rows: Sequence[int]) -> "States":
        """Return some of them."""
        chosen = (tuple(names[row] for row in rows) for names in (self.leaves, self.clusters))
        return States(*chosen, self.values[list(rows)])


def states_of_names(model: LocalModel, leaves: Sequence[str]) -> tuple[States, States]:
    """Return the states of leaves named in captions: in all wordings but ``HELD``, and in it."""
    wordings = [HELD, *(one for one in range(len(CAPTIONS)) if one != HELD)]
    said = [reading for one in wordings for reading in _named(model, leaves, one)]
    values, names, count = read_states(model, said), tuple(leaves), len(leaves)
    others = names * (len(wordings) - 1)
    return States(others, others, values[count:]), States(names, names, values[:count])


def states_of_synonyms(
    model: LocalModel, leaves: Sequence[str], ontology: Ontology
) -> States | None:
    """Return the states of other words for leaves in the wording that is held out; None where there
    are not two of them.
    """
    words = [(leaf, word) for leaf in leaves for word in ontology.synonyms(leaf)]
    if len(words) < 2:
        return None
    names, said = zip(*words, strict=True)
    return States(names, names, read_states(model, _named(model, said, HELD)))


def states_of_sounds(model: LocalModel, clips: Sequence[Clip]) -> States:
    """Return the states of sounds, each with one tag."""
    prompts = encoded_prompts(model, [about_sound(clip.sound.data, CAPTION) for clip in clips])
    readings = [Reading(one, (media_place(one), last_place(one))) for one in prompts]
    leaves, groups = ([getter(clip) for clip in clips] for getter in (_leaf, lambda c: c.group))
    return States(tuple(leaves), tuple(groups), read_states(model, readings))


def chosen_clips(clips: Iterable[Clip], ontology: Ontology, each: int) -> list[Clip]:
    """Return the first clips of every leaf that are tagged with it alone, at most ``each``."""
    kept: dict[str, list[Clip]] = {leaf: [] for leaf in ontology.leaves}
    for clip in clips:
        mine = kept.get(_leaf(clip)) if len(clip.tags) == 1 else None
        if mine is not None and len(mine) < each:
            mine.append(clip)
    return [clip for mine in kept.values() for clip in mine]


def _leaf(clip: Clip) -> str:
    return clip.tags[0]


def _named(model: LocalModel, words: Sequence[str], wording: int) -> list[Reading]:
    """Return readings of captions that each say a word."""
    turns = [about_caption(caption_of((word,), wording), CAPTION) for word in words]
    prompts = encoded_prompts(model, turns)
    places = differing_places(prompts)
    return [
        Reading(prompt, (place, last_place(prompt)))
        for prompt, place in zip(prompts, places, strict=True)
    ]
