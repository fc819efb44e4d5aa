"""The table of leaves in docs/hear_data.md."""

from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.tree import RARE, tree


def leaves_table() -> str:
    """Return a Markdown table with a row for each leaf, in the order of the tree."""
    lines = [
        "| Kind | Family | Leaf | Synonyms | Sound | Pitch (Hz) | Rate |",
        "|---|---|---|---|---|---|---|",
    ]
    graph = tree()
    for leaf in graph.leaves:
        family, kind = graph.ancestors(leaf)
        name = f"**{leaf}** (rare)" if leaf in RARE else leaf
        ranges = (f"{low:g} to {high:g}" for low, high in VOICES[leaf].ranges.values())
        synonyms = ", ".join(graph.synonyms(leaf))
        cells = (kind, family, name, synonyms, graph[leaf].sounds_like, *ranges)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
