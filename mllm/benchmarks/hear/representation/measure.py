"""What is measured of a model that hears, and kept next to its replies."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from mllm.benchmarks.hear.benchmark import Benchmark
from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.prompts import CAPTIONS
from mllm.benchmarks.hear.representation.plane import plane_rows
from mllm.benchmarks.hear.representation.said_heard import (
    HELD,
    States,
    chosen_clips,
    states_of_names,
    states_of_sounds,
    states_of_synonyms,
)
from mllm.benchmarks.hear.representation.transfer import alignment_rows, probe_rows
from mllm.benchmarks.hear.representation.words import word_rows
from mllm.evaluation.inspection import Inspection
from mllm.evaluation.runner import LocalModel

NAME = "representation"
LAYERS = 13  # that are measured at most, from the embeddings to the last
DRAWN = 3  # of these, as points of a plane
TRAIN = "train"  # probes learn from clips of this split


def representation(benchmark: Benchmark, split: str, clips: int) -> Inspection:
    """Return the measurement of what layers hold of sounds and of their names.

    Args:
      split: of the sounds that probes are asked about.
      clips: sounds of each leaf that they learn from and are asked about, at most.
    """
    wordings = {"wordings": list(CAPTIONS), "held": HELD}
    options = {"split": split, "clips": clips, "layers": LAYERS, **wordings}
    return Inspection(NAME, partial(measure, benchmark, split, clips), options)


def measure(benchmark: Benchmark, split: str, clips: int, model: LocalModel) -> Mapping[str, Any]:
    """Return JSON values: layers, leaves, and the rows of ``probe_rows``, ``alignment_rows``,
    ``plane_rows`` and ``word_rows``.

    Leaves without a sound of their own in both splits are left out. Where fewer than four are left,
    or the model hears nothing, there are no rows.
    """
    ontology = benchmark.ontology
    sounds = {name: chosen_clips(benchmark.clips(name), ontology, clips) for name in (TRAIN, split)}
    found = [{clip.tags[0] for clip in some} for some in sounds.values()]
    leaves = [leaf for leaf in ontology.leaves if all(leaf in one for one in found)]
    if len(leaves) < 4 or model.loaded.processor.config.audio is None:
        return {"layers": [], "leaves": [], "probes": [], "alignment": [], "plane": [], "words": []}
    heard = {
        name: states_of_sounds(model, [clip for clip in some if clip.tags[0] in leaves])
        for name, some in sounds.items()
    }
    said, held = states_of_names(model, leaves)
    learned = {"text": said, "sounds": heard[TRAIN]}
    synonyms = states_of_synonyms(model, leaves, ontology)
    asked = {"words": held, "synonyms": synonyms, "sounds": heard[split]}
    asked = {kind: states for kind, states in asked.items() if states is not None}
    layers = spread_layers(said.values.shape[2], LAYERS)
    drawn = [layers[at] for at in spread_layers(len(layers), DRAWN)]
    text = _joined(said, held)
    return {
        "layers": layers,
        "leaves": leaves,
        "probes": probe_rows(learned, asked, levels_of(ontology, leaves), layers),
        "alignment": alignment_rows(text, heard[split], layers),
        "plane": plane_rows(text, heard[split], drawn, highest_kinds(ontology, leaves)),
        "words": word_rows(model, [clip for clip in sounds[split] if clip.tags[0] in leaves]),
    }


def spread_layers(count: int, most: int) -> list[int]:
    """Return at most so many of the numbers below ``count``, evenly spread, with first and last."""
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, most)).tolist()})


def levels_of(ontology: Ontology, leaves: list[str]) -> dict[str, dict[str, str]]:
    """Return name of a level -> leaf -> what it is there; the first one where it is several things.

    Levels on which all leaves are the same are left out.
    """
    above = {
        "leaf": lambda leaf: (leaf,),
        "parent": ontology.parents,
        "grandparent": ontology.grandparents,
    }
    levels = {
        name: {leaf: kinds[0] for leaf in leaves if (kinds := of(leaf))}
        for name, of in above.items()
    }
    return {name: labels for name, labels in levels.items() if len(set(labels.values())) > 1}


def highest_kinds(ontology: Ontology, leaves: list[str]) -> dict[str, str]:
    """Return leaf -> the last of its ancestors, itself where it has none."""
    return {leaf: [leaf, *ontology.ancestors(leaf)][-1] for leaf in leaves}


def _joined(*kinds: States) -> States:
    leaves, clusters = (
        sum((getattr(k, name) for k in kinds), ()) for name in ("leaves", "clusters")
    )
    return States(leaves, clusters, np.concatenate([kind.values for kind in kinds]))
