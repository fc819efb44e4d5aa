"""Probes that learn to read states of one kind and are asked about another, layer by layer."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mllm.benchmarks.hear.representation.said_heard import PLACES, States
from mllm.evaluation.alignment import linear_cka, shuffled_cka
from mllm.evaluation.probes import Probe, right, train_probe
from mllm.evaluation.statistics import cluster_bootstrap

Row = dict[str, Any]

# What probes learn from, and what they are then asked about. "text" are names in captions, "words"
# the same names in another wording, "synonyms" other words for the same kinds, "sounds" clips.
ASKED = {"text": ("words", "synonyms", "sounds"), "sounds": ("sounds", "words")}
SCALINGS = (
    "shared",
    "own",
)  # the states asked about scaled as those learned from, or by themselves


def probe_rows(
    learned: Mapping[str, States],
    asked: Mapping[str, States],
    levels: Mapping[str, Mapping[str, str]],
    layers: Sequence[int],
) -> list[Row]:
    """Return how often probes are right, a row for each level, place, layer, kind and scaling.

    Args:
      learned: kind of ``ASKED`` -> the states that probes learn from.
      asked: kind of state -> states that none of them learned from.
      levels: name of a level -> leaf -> its label there; leaves without one are left out.

    Returns:
      level, place, layer, learned, asked, scaling; n; accuracy with the ends low and high of its
      95% interval (None for none); chance, the share of the most frequent label.
    """
    rows = []
    for level, labels in levels.items():
        for place, name in enumerate(PLACES):
            for layer in layers:
                where = {"level": level, "place": name, "layer": layer}
                for kind, states in learned.items():
                    mine = _labelled(states, labels)
                    probe = train_probe(mine.at(place, layer), _labels(mine, labels))
                    for other in ASKED[kind]:
                        if other in asked:
                            found = _labelled(asked[other], labels)
                            told = {**where, "learned": kind, "asked": other}
                            rows += _asked(probe, found, labels, (place, layer), told)
    return rows


def _asked(
    probe: Probe, states: States, labels: Mapping[str, str], at: tuple[int, int], where: Row
) -> Iterator[Row]:
    """Yield how often a probe finds the labels of states, for each scaling."""
    wanted = _labels(states, labels)
    across = (where["learned"] == "sounds") != (where["asked"] == "sounds")
    for scaling in SCALINGS if across else SCALINGS[:1]:
        hits = right(probe, states.at(*at), wanted, own=scaling == "own").astype(float)
        low, high = cluster_bootstrap(hits, states.clusters)
        yield {
            **where,
            "scaling": scaling,
            "n": len(hits),
            "accuracy": float(hits.mean()),
            "low": None if np.isnan(low) else low,
            "high": None if np.isnan(high) else high,
            "chance": max(wanted.count(label) for label in wanted) / len(wanted),
        }


def _labelled(states: States, labels: Mapping[str, str]) -> States:
    return states.select([row for row, leaf in enumerate(states.leaves) if leaf in labels])


def _labels(states: States, labels: Mapping[str, str]) -> list[str]:
    return [labels[leaf] for leaf in states.leaves]


def alignment_rows(text: States, sounds: States, layers: Sequence[int]) -> list[Row]:
    """Return ``linear_cka`` of the mean states of leaves in text and in sound, a row for each place
    and layer: cka, and the mean and the 95% quantile of shuffled pairs.
    """
    leaves = common_leaves(text, sounds)
    rows = []
    for place, name in enumerate(PLACES):
        for layer in layers:
            pair = [leaf_means(one, leaves, place, layer) for one in (text, sounds)]
            shuffled = shuffled_cka(*pair)
            found = {
                "cka": linear_cka(*pair),
                "shuffled": float(shuffled.mean()),
                "shuffled_high": float(np.quantile(shuffled, 0.95)),
            }
            known = {key: None if np.isnan(value) else value for key, value in found.items()}
            rows.append({"place": name, "layer": layer, "n": len(leaves), **known})
    return rows


def common_leaves(*kinds: States) -> list[str]:
    """Return the leaves that states of all kinds are of, in the order of the first."""
    return [
        leaf for leaf in dict.fromkeys(kinds[0].leaves) if all(leaf in one.leaves for one in kinds)
    ]


def leaf_means(states: States, leaves: Sequence[str], place: int, layer: int) -> np.ndarray:
    """Return float64[leaves, D], the mean states of each."""
    values, names = states.at(place, layer).astype(np.float64), np.asarray(states.leaves)
    return np.stack([values[names == leaf].mean(axis=0) for leaf in leaves])
