"""What is made of the records of an evaluation by others than the model, such as judges, kept in a
file next to them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mllm.evaluation.inspection import OPTIONS, Inspection, read_inspection, write_inspection
from mllm.files import file_digest

RECORDS = "records"  # the option that names the reviewed records by their content


@dataclass(frozen=True)
class Review:
    """A review of the records of an evaluation.

    Attributes:
      name: of its file, ``<name>.json``.
      review: returns JSON values, by name, given the records, the folder of the evaluation, and
        the models of ``asks`` by name (``request.Answerer``). A number above 0 as "errors" says
        that some of it failed: the next evaluation tries again.
      options: JSON values that they follow from besides the records.
      asks: other runs of the study whose models it asks.
    """

    name: str
    review: Callable[[Sequence[dict], Path, Mapping[str, Any]], Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)
    asks: tuple[str, ...] = ()


def write_review(
    records: Path, review: Review, found: Mapping[str, Any], manifest: Mapping[str, Any]
) -> None:
    """Write what ``read_review`` reads.

    Args:
      records: the file that was reviewed. manifest: what the evaluation follows from.
    """
    options = {**review.options, RECORDS: file_digest(records)}
    write_inspection(records.parent, Inspection(review.name, dict, options), found, manifest)


def read_review(records: Path, name: str, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a review found, with the options; None where there is none, its file was changed,
    or it is of other records.
    """
    found = read_inspection(records.parent, name, manifest)
    if found is None or not records.is_file():
        return None
    return found if found[OPTIONS].get(RECORDS) == file_digest(records) else None


def is_done(found: Mapping[str, Any] | None, review: Review) -> bool:
    """Return whether what ``read_review`` returns is the whole of a review."""
    if found is None or found.get("errors"):
        return False
    options = {name: value for name, value in found[OPTIONS].items() if name != RECORDS}
    return options == dict(review.options)
