"""Text before a question that tells a model about classes it has seldom heard.

The text is the same for every clip, so it gives no answer away.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import caption_of
from mllm.benchmarks.hear.row import Clip
from mllm.registry import lookup

PLAIN = "plain"
DESCRIBED = ("rare", "all")
TRIES = 64  # clips that are read for each example


class Benchmark(Protocol):
    """What is needed of the data."""

    ontology: Ontology
    rare: tuple[str, ...]

    def clips(self, split: str) -> Sequence[Clip]:
        """Return the clips of a split."""
        ...


def candidates(names: Sequence[str]) -> str:
    """Return a sentence that lists the classes."""
    return f"The sound is one of these: {', '.join(names)}."


def sentences(names: Sequence[str], ontology: Ontology, field: str) -> str:
    """Return what a field of the ontology says of classes.

    Raises:
      ValueError: it says nothing of any of them.
    """
    said = {name: getattr(ontology[name], field) for name in names}
    lines = [f"{name}: {text}" for name, text in said.items() if text]
    if not lines:
        raise ValueError(
            f"evaluation.variants: the ontology has no {field!r} of any of {', '.join(names)}; add "
            "such sentences to it, or leave the variant out"
        )
    return " ".join(lines)


def examples(clips: Sequence[Clip], ontology: Ontology, count: int, seed: int) -> str:
    """Return captions of clips with their labels, of different labels as far as these are found.

    Args:
      clips: of the training split. count: of the examples.
    """
    order = np.random.default_rng(seed).permutation(len(clips))[: TRIES * count].tolist()
    leaves, found = frozenset(ontology.leaves), {}
    for number in order:
        tags = clips[number].tags
        label = next((tag for tag in tags if tag in leaves), None)
        if label is not None and label not in found:
            found[label] = f"Caption: {caption_of(tags)} Label: {label}."
        if len(found) == count:
            break
    return " ".join(found.values())


# By the name of a variant, what it makes of a benchmark, the described classes, the number of
# examples and a seed.
VARIANTS: dict[str, Callable[[Benchmark, Sequence[str], int, int], str]] = {
    PLAIN: lambda benchmark, names, count, seed: "",
    "labels": lambda benchmark, names, count, seed: candidates(benchmark.ontology.leaves),
    "sounds_like": lambda benchmark, names, count, seed: sentences(
        names, benchmark.ontology, "sounds_like"
    ),
    "habitat": lambda benchmark, names, count, seed: sentences(
        names, benchmark.ontology, "habitat"
    ),
    "examples": lambda benchmark, names, count, seed: examples(
        benchmark.clips("train"), benchmark.ontology, count, seed
    ),
}


def prefix_of(
    variant: str, benchmark: Benchmark, described: str, count: int = 4, seed: int = 0
) -> str:
    """Return the text of a variant; "" for the plain one.

    Args:
      described: which classes are described: "rare", or "all". count: of the examples.

    Raises:
      ValueError: an unknown variant, or the ontology has no sentences for it.
    """
    names = benchmark.ontology.leaves
    if described == "rare" and benchmark.rare:
        names = benchmark.rare
    return lookup(VARIANTS, variant, "variant of a prompt")(benchmark, names, count, seed)
