"""What a person may say about an import: names of columns, what is done about flaws, who writes."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mllm.registry import lookup

LEAVE_OUT, ERROR = "leave_out", "error"
# What may be wrong with a row -> what is done about it, where nothing else is asked for.
ACTIONS = {
    "missing_picture": ERROR,
    "unreadable_picture": ERROR,
    "unusable_row": ERROR,
    "unknown_topic": ERROR,
    "other_number_of_options": ERROR,
    "repeated_id": ERROR,
    "repeated_question": LEAVE_OUT,
}
WRITERS = ("rules", "endpoint", "model")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Options:
    """How files are imported.

    Attributes:
      file: the one to read, from the folder; "" where it is the only table there.
      columns: our names -> those of the file, where they are others than the usual ones.
      pictures: the folder of pictures, from the folder; "" where they lie next to the file, or
        where rows give their paths.
      topics: names of the file -> "Topic/Sub-topic" of ours.
      actions: flaws of ``ACTIONS`` -> "error" or "leave_out".
      split: that questions are put into.
      validation, test: shares of the pictures of comments that are kept apart.
      writer: of ``WRITERS``: who summarises comments. endpoint: fields of
        ``mllm.evaluation.endpoint.EndpointConfig``. model: a folder that ``mllm.load`` reads.
      licence: what is known of the terms.

    Columns, topics and actions of "" are as good as absent, so that a configuration can list them.

    Raises:
      ValueError: an unknown name, or a share that is none.
    """

    file: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    pictures: str = "images"
    topics: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    split: str = "test"
    validation: float = 0.1
    test: float = 0.1
    writer: str = "rules"
    endpoint: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    licence: str = "as stated by the owner of the files"

    def __post_init__(self):
        for name in ("columns", "topics", "actions"):
            given = _plain(getattr(self, name)).items()
            object.__setattr__(self, name, {key: value for key, value in given if value != ""})
        object.__setattr__(self, "endpoint", _plain(self.endpoint))
        for flaw, action in self.actions.items():
            lookup(ACTIONS, flaw, "flaw (actions)")
            lookup(dict.fromkeys((ERROR, LEAVE_OUT)), action, f"action for {flaw}")
        lookup(dict.fromkeys(SPLITS), self.split, "split")
        lookup(dict.fromkeys(WRITERS), self.writer, "writer")
        shares = self.validation, self.test
        if min(shares) < 0 or sum(shares) >= 1:
            raise ValueError(
                f"validation, test: found {shares}, expected shares of at least 0 that leave some "
                "pictures to train on"
            )

    def named(self, columns: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Return the names that files may have for each column of an importer.

        Args:
          columns: the usual ones. Those that the options name replace them.

        Raises:
          ValueError: the importer has no such column.
        """
        for name in self.columns:
            lookup(columns, name, "column (columns)")
        return {**columns, **{name: (column,) for name, column in self.columns.items()}}

    def record(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return dataclasses.asdict(self)


def _plain(value: Any) -> Any:
    """Return the mappings of a configuration as dicts."""
    if not hasattr(value, "keys"):
        return value
    return {key: _plain(value[key]) for key in value.keys()}  # noqa: SIM118
