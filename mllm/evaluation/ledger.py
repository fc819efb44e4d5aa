"""The ledger of tuning: every trial of every method, what was read of it, and which was chosen.

``tuning.json`` lies in the folder of a sweep. It is sealed, so a report notices what was changed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mllm.files import read_sealed, write_sealed

LEDGER, SCHEMA = "tuning.json", 1


@dataclass(frozen=True)
class Trial:
    """One run of a method with values of its own.

    Attributes:
      values: dotted keys of the configuration with their values.
      measured: what was read of its evaluation, by name; empty if it diverged.
      checkpoint_digest: of its weights; "" if it diverged.
      diverged: why it has no evaluation; "" if it has one.
    """

    values: Mapping[str, Any]
    measured: Mapping[str, float]
    checkpoint_digest: str
    diverged: str = ""


@dataclass(frozen=True)
class Tuned:
    """The trials of one method, and the place of the chosen one."""

    trials: tuple[Trial, ...]
    chosen: int

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of the chosen trial."""
        return self.trials[self.chosen].values


@dataclass(frozen=True)
class Ledger:
    """What was tried before a sweep.

    Attributes:
      rule: how a trial is chosen, in a sentence or two.
      decides: the names of ``Trial.measured`` that decide, in this order; the least is best.
      read: how many scored answers of each set were read, of every trial.
      seed: of the trials.
      protocol: by which they were asked.
      data_fingerprint: of the data that they learned and were asked about.
      anchors: what trials are compared with: name -> digest of its weights.
      methods: name -> its trials.
    """

    rule: str
    decides: tuple[str, ...]
    read: Mapping[str, int]
    seed: int
    protocol: str
    data_fingerprint: str
    anchors: Mapping[str, str]
    methods: Mapping[str, Tuned]

    @property
    def values(self) -> dict[str, Any]:
        """The chosen values of all methods."""
        return {key: value for one in self.methods.values() for key, value in one.values.items()}

    def covers(self, tried: Mapping[str, Sequence[Mapping[str, Any]]]) -> bool:
        """Return whether its trials are those of a list, by method."""
        held = {name: [dict(t.values) for t in one.trials] for name, one in self.methods.items()}
        return json.dumps(held, sort_keys=True) == json.dumps(tried, sort_keys=True)


def write_ledger(folder: Path, ledger: Ledger) -> Path:
    """Write ``tuning.json`` into a folder; return its path."""
    path = Path(folder) / LEDGER
    write_sealed(path, {"schema": SCHEMA, **asdict(ledger)})
    return path


def read_ledger(folder: Path) -> Ledger | None:
    """Return the ledger of a folder, None if it holds none.

    Raises:
      ValueError: it was changed after it was written, or is of another schema.
    """
    path = Path(folder) / LEDGER
    if not path.is_file():
        return None
    value = read_sealed(path)
    if (found := value.pop("schema", None)) != SCHEMA:
        raise ValueError(f"{path}: schema is {found!r}, expected {SCHEMA}; start the sweep again")
    try:
        methods = {name: _tuned(one) for name, one in value.pop("methods").items()}
        decides = tuple(value.pop("decides"))
        return Ledger(**value, decides=decides, methods=methods)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: is no ledger of tuning ({error!r}); start the sweep again, which writes it"
        ) from None


def _tuned(value: Mapping[str, Any]) -> Tuned:
    trials = [Trial(**trial) for trial in value["trials"]]
    numbers = [{name: float(found) for name, found in t.measured.items()} for t in trials]
    made = (replace(t, measured=m) for t, m in zip(trials, numbers, strict=True))
    found = Tuned(tuple(made), value["chosen"])
    _ = found.values  # there is a trial at the chosen place
    return found


def best_of(measured: Sequence[Mapping[str, float]], decides: Sequence[str]) -> int:
    """Return the place of the trial whose deciding numbers are least, compared in their order; the
    first of equal ones. Numbers that differ by less than 1e-9 are equal. A trial without numbers is
    never the best.

    Raises:
      ValueError: no trial has numbers.
    """
    keys = {
        place: tuple(round(trial[name], 9) for name in decides)
        for place, trial in enumerate(measured)
        if trial
    }
    return min(keys, key=keys.__getitem__)
