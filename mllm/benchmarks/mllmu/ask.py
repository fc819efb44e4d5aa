"""A protocol's questions, asked: from profiles to records."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mllm.benchmarks.mllmu.paper import paper_items, paper_records, paper_rounds, shots_of
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
from mllm.benchmarks.mllmu.schema import Profile
from mllm.benchmarks.mllmu.strict import (
    StrictProtocol,
    strict_items,
    strict_records,
    strict_rounds,
)
from mllm.checkpoints.loaded import Loaded
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import collect, write_records
from mllm.parallel.launch import is_first

Sets = Mapping[str, Sequence[Profile]]


def ask_strict(
    loaded: Loaded,
    sets: Sets,
    protocol: StrictProtocol,
    folder: Path,
    manifest: Mapping,
    *,
    rows: int = 0,
    progress=None,
) -> list[dict]:
    """Ask what is not answered yet and return a record for each question.

    Args:
      folder: holds the replies and the records.
      manifest: what must be equal for replies to be used again; see ``evaluation.store.collect``.
      rows: questions that are run together, 0 for as many as memory holds.
    """
    model = LocalModel(loaded, rows=rows)
    manifest = {
        **manifest,
        "protocol": protocol.digest_fields(),
        "processor": loaded.processor.digest,
    }
    rounds = strict_rounds(strict_items(sets), protocol)
    answered = collect(rounds, {"subject": model}, folder, manifest, progress=progress)
    return _written(folder, strict_records(answered))


def ask_paper(
    loaded: Loaded,
    sets: Sets,
    pool: Sequence[Profile],
    protocol: PaperProtocol,
    folder: Path,
    manifest: Mapping,
    *,
    rows: int = 0,
    progress=None,
) -> list[dict]:
    """Ask what is not answered yet and return a record for each question.

    Args:
      pool: profiles in which shots are looked up.
      protocol: of the model's family (``PaperProtocol.for_family``).
      folder, manifest, rows: as for ``ask_strict``.

    Raises:
      ValueError: a prompt with its reply exceeds the model's positions and ``protocol.overflow`` is
        "refuse"; nothing was asked then.
    """
    model = LocalModel(loaded, rows=rows, refuse_long=protocol.overflow == "refuse")
    items = paper_items(sets, pool, protocol)
    manifest = {
        **manifest,
        "protocol": protocol.digest_fields(),
        "processor": loaded.processor.digest,
        "shots": shots_of(items),
    }
    rounds = paper_rounds(items, protocol)
    answered = collect(rounds, {"subject": model}, folder, manifest, progress=progress)
    return _written(folder, paper_records(answered, protocol))


def _written(folder: Path, records: list[dict]) -> list[dict]:
    if is_first():
        write_records(folder, records)
    return records
