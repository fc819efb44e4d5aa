"""The table of attributes in docs/photo_data.md, and the one of operations."""

from mllm.benchmarks.photo.operations import OPERATIONS
from mllm.benchmarks.photo.taxonomy import ATTRIBUTES, TOPICS, UNKEYED, attributes_of


def attributes_table() -> str:
    """Return a Markdown table with a row for each attribute, in the order of the topics."""
    lines = [
        "| Topic | Sub-topic | Attribute | Operation | Values, in the order of the settings |",
        "|---|---|---|---|---|",
    ]
    for topic, subtopics in TOPICS.items():
        for subtopic in subtopics:
            for one in attributes_of(topic, subtopic):
                values = "; ".join(one.values)
                cells = (topic, subtopic, f"`{one.name}`", f"`{one.operation}`", values)
                lines.append(f"| {' | '.join(cells)} |")
            if (topic, subtopic) in UNKEYED:
                reason = UNKEYED[topic, subtopic]
                lines.append(f"| {topic} | {subtopic} | none | none | not keyed: {reason} |")
    return "\n".join(lines)


def operations_table() -> str:
    """Return a Markdown table with a row for each operation, in the order of their stages."""
    lines = [
        "| Operation | Stage | Settings and their parameters | Needs | Attributes |",
        "|---|---|---|---|---|",
    ]
    for name, one in OPERATIONS.items():
        settings = "; ".join(
            f"{setting}: {_parameters(one.settings[setting])}" for setting in one.settings
        )
        needs = ", ".join(sorted(one.needs - {name})) or "any source"
        if name in one.needs:
            needs = "a scene drawn for it"
        keyed = ", ".join(f"`{a.name}`" for a in ATTRIBUTES.values() if a.operation == name)
        lines.append(f"| `{name}` | {one.stage} | {settings} | {needs} | {keyed} |")
    return "\n".join(lines)


def _parameters(values: dict) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) or "none"
