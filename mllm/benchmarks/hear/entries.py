"""What the questions need to know of clips: their tags and places, without their sounds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mllm.benchmarks.hear.ontology import Ontology
from mllm.benchmarks.hear.row import Clip


@dataclass(frozen=True)
class Entry:
    """A clip that is asked about.

    Attributes:
      id: of the clip. number: its place in the split.
      group: the base signal, or the recording, that it was made from.
      tags: the most specific ones, loudest first: "bird" is left out next to "grouse".
      label: the loudest tag that is a leaf of the ontology; None where no tag is one.
    """

    id: str
    number: int
    group: str
    tags: tuple[str, ...]
    label: str | None


def entries_of(clips: Iterable[Clip], ontology: Ontology) -> list[Entry]:
    """Return the entries of clips, in their order. Sounds are read and let go."""
    leaves, found = frozenset(ontology.leaves), []
    for number, clip in enumerate(clips):
        above = {name for tag in clip.tags for name in ontology.ancestors(tag)}
        tags = tuple(tag for tag in clip.tags if tag not in above)
        label = next((tag for tag in tags if tag in leaves), None)
        found.append(Entry(clip.id, number, clip.group, tags, label))
    return found


def balanced(entries: Iterable[Entry], per_label: int) -> list[Entry]:
    """Return the first clips of each label, at most ``per_label`` of them; all where it is 0."""
    counts: Counter[str] = Counter()
    chosen = []
    for entry in entries:
        if entry.label is not None and (not per_label or counts[entry.label] < per_label):
            counts[entry.label] += 1
            chosen.append(entry)
    return chosen


def heard(tags: Sequence[str], ontology: Ontology) -> frozenset[str]:
    """Return all concepts that are true of a clip: its tags and what they are kinds of."""
    return frozenset(tags).union(*map(ontology.ancestors, tags))
