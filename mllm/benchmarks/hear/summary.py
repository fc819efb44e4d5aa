"""What a data set holds, in lines for a person."""

from typing import Any

from mllm.benchmarks.hear.entries import balanced, entries_of
from mllm.benchmarks.hear.protocol import Protocol
from mllm.benchmarks.hear.relations import RELATIONS, probes_of


def summary(benchmark: Any) -> list[str]:
    """Return a line about the ontology, one about each split, and one about the relation questions
    that its test clips allow.

    Args:
      benchmark: a `benchmark.Benchmark`.
    """
    ontology, rare = benchmark.ontology, frozenset(benchmark.rare)
    synonyms = sum(bool(ontology.synonyms(name)) for name in ontology.leaves)
    lines = [
        f"{len(ontology.leaves)} classes in {len(ontology)} concepts, {synonyms} classes with "
        f"synonyms; rare: {', '.join(benchmark.rare) or 'none'}"
    ]
    found = {}
    for split in benchmark.splits:
        entries = found[split] = entries_of(benchmark.clips(split), ontology)
        groups = {entry.group for entry in entries}
        several = sum(len(entry.tags) > 1 for entry in entries)
        few = sum(bool(rare & {*entry.tags}) for entry in entries)
        lines.append(
            f"{split:<11} {len(entries):6} clips of {len(groups)} sources, {several} with several "
            f"tags, {few} with a rare one"
        )
    most = Protocol.per_label
    asked = [probe.relation for probe in probes_of(balanced(found.get("test", ()), most), ontology)]
    counts = ", ".join(f"{relation} {asked.count(relation)}" for relation in RELATIONS)
    return [*lines, f"  relation questions about {most} test clips of a label: {counts}"]
