"""The tree of the generated sounds: every leaf of it has a voice."""

from functools import cache
from pathlib import Path

from mllm.benchmarks.hear.ontology import Ontology

# Leaves with few clips to train on, one in each of four families.
RARE = ("grouse", "wolf", "helicopter", "harp")


@cache
def tree() -> Ontology:
    """Return the ontology of the generated sounds: three levels, from animals to warblers."""
    return Ontology.read(Path(__file__).with_name("tree.json"))
