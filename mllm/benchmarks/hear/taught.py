"""What the models of a study learn from: clips with captions, classes and questions about their
labels, and text alone (``mllm.benchmarks.hear.facts``). Only what the assistant says is supervised,
unless a schedule says otherwise.

What is said of a clip holds no synonym and nothing that its tags are kinds of. These stand in text
alone, so a question about them has to reach from what is heard to what is known.
"""

from collections.abc import Callable, Mapping

import numpy as np

from mllm.benchmarks.hear.benchmark import Benchmark
from mllm.benchmarks.hear.facts import TOLD, Said, Told, answered, drawn_caption
from mllm.benchmarks.hear.prompts import CAPTION, CLASSIFY, about_sound, relation_turns
from mllm.benchmarks.hear.row import Clip
from mllm.benchmarks.hear.terms import Terms
from mllm.data.conversation import Example, assistant
from mllm.data.source import Joined, Source
from mllm.registry import lookup

TRAIN = "train"


class Heard(Source[Example]):
    """Clips with one lesson about each, several times with other words each time."""

    def __init__(self, name: str, benchmark: Benchmark, times: int, seed: int):
        """Describe the conversations; a clip is read when it is asked for.

        Args:
          name: of ``HEARD``. times: how often each clip comes.
        """
        self._name, self._clips, self._times = name, benchmark.clips(TRAIN), times
        self._terms, self._seed = Terms(benchmark.ontology), seed

    def __len__(self) -> int:
        return len(self._clips) * self._times

    def read(self, number: int) -> Example:
        time, place = divmod(number, len(self._clips))
        clip = self._clips[place]
        rng = np.random.default_rng([self._seed, list(HEARD).index(self._name), time, place])
        turns = HEARD[self._name](clip, self._terms, rng)
        return Example(f"{clip.id}/{self._name}/{time}", clip.group, turns)


def caption(clip: Clip, terms: Terms, rng: np.random.Generator) -> Said:
    """Return a clip with its caption, in a wording that is drawn."""
    return (*about_sound(clip.sound.data, CAPTION), assistant(drawn_caption(clip.tags, rng)))


def one_class(clip: Clip, terms: Terms, rng: np.random.Generator) -> Said:
    """Return a clip with one of its classes."""
    return (*about_sound(clip.sound.data, CLASSIFY), assistant(str(rng.choice(clip.tags))))


def label_question(clip: Clip, terms: Terms, rng: np.random.Generator) -> Said:
    """Return a clip with the question whether it is the sound of one of its tags, or of a leaf that
    is wrong, as often.
    """
    pair = terms.pair("label", str(rng.choice(clip.tags)), clip.tags, rng)
    if pair is None:
        raise ValueError(f"clip {clip.id!r}: no leaf of the ontology is wrong of {clip.tags}")
    yes = bool(rng.random() < 0.5)
    term = pair[0 if yes else 1]
    return answered(relation_turns("A", term, sound=clip.sound.data), yes)


# By the name of a lesson, the conversation about one clip.
HEARD: dict[str, Callable[..., Said]] = {
    "captions": caption,
    "classes": one_class,
    "questions": label_question,
}
LESSONS = (*TOLD, *HEARD)


def lessons(chosen: Mapping[str, int], benchmark: Benchmark, seed: int) -> Joined:
    """Return what a stage learns from.

    Args:
      chosen: of each of ``LESSONS``, how often each leaf, or each clip to train on, comes.

    Raises:
      ValueError: there is no such lesson.
    """
    found: list[Source[Example]] = []
    for name, times in chosen.items():
        lookup(dict.fromkeys(LESSONS), name, "lesson")
        if times and name in TOLD:
            found.append(Told(name, benchmark.ontology, times, seed))
        elif times:
            found.append(Heard(name, benchmark, times, seed))
    return Joined(*found)
