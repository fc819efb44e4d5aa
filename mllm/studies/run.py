"""A run's folder and its record: what was asked for, whether it is finished, what it cost."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from mllm.checkpoints.contents import Verification
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.record import small_files
from mllm.files import read_jsonl, read_run, write_sealed
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.studies.environment import command_line, digest, environment
from mllm.studies.identity import describe, differences, how_to_continue, identity, same, value_of
from mllm.studies.stage import Stage
from mllm.training.diverged import Diverged
from mllm.training.progress import tell

RECORD = "run.json"
DIVERGED = "diverged"  # status of a run that is not trained further, and the key that says why
UNVERIFIED = "weights_unverified"  # key of a run or an evaluation under --verify_weights=off
BEGINNING = "beginning"  # folder of the random weights of which a run trains a part
# What a run may have written before its first checkpoint.
LEFTOVERS = (
    RECORD,
    "model.json",
    BEGINNING,
    "huggingface",
    "checkpoints",
    "reference.npz",
    "metrics.jsonl",
    "tensorboard",
)


@dataclass(frozen=True)
class Run:
    """One folder of a study.

    Attributes:
      folder: holds run.json, metrics, checkpoints and evaluations.
      method: name of the stage that it is a run of.
      config: what makes it.
      labels: what identifies it together with method and seed; goes into its record.
    """

    folder: Path
    method: str
    config: ConfigDict
    labels: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> dict:
        """Return run.json, or {} before the run began."""
        path = self.folder / RECORD
        return read_run(path) if path.exists() else {}

    def finished(self, source: Mapping[str, Any]) -> bool:
        """Return whether the run is done, with all its files, and is the one asked for.

        A run of another identity that has no checkpoint and no replies yet claims nothing: its
        folder is free.

        Args:
          source: what the run asked for is made from, of ``mllm.studies.identity.made_from``.

        Raises:
          Diverged: the run asked for was trained until its loss was not finite.
          ValueError: the folder holds a run of another configuration, data or parent, or processes
            disagree on what is asked for or on what the folder holds.
        """
        record, wanted = self.record(), identity(source)
        require_same(f"{self.folder}: the run asked for", wanted)
        require_same(f"{self.folder / RECORD}", json.dumps(record))
        if same(record, source):
            if record.get("status") == DIVERGED:
                raise Diverged(self.folder, record[DIVERGED])
            return record.get("status") == "finished" and not self._gone(record)
        claimed = bool(record) and self.claimed()
        require_same(f"{self.folder}: whether it holds results", str(claimed))
        if claimed:
            raise ValueError(self._other(record, source))
        return False

    def processor_digest(self) -> str:
        """Return a digest of the files with which a finished run reads: tokenizer, processor and
        chat templates; "" if its record names none.
        """
        files = self.record().get("files", {})
        read_with = {
            name: found for name, found in files.items() if name != "model.json" and "/" not in name
        }
        return digest(read_with) if read_with else ""

    def _gone(self, record: Mapping[str, Any]) -> list[str]:
        """Return the recorded files of a finished run that are not there any more."""
        return [name for name in record.get("files", {}) if not (self.folder / name).is_file()]

    def claimed(self) -> bool:
        """Return whether the folder holds work: a checkpoint, replies, or weights that another run
        of the study starts from.
        """
        replies = (path.stat().st_size for path in self.folder.glob("eval/*/*/replies*.jsonl"))
        if self.saved() is not None or any(replies):
            return True
        record = self.record()
        if record.get("status") != "finished":
            return False
        if "made_from" not in record:  # an older record, as those of the runs that start from it
            return True
        others = (path.parent for path in self.folder.parent.glob(f"*/{RECORD}"))
        return any(
            Run(other, "", self.config)._starts_from(record)
            for other in others
            if not other.samefile(self.folder)
        )

    def _starts_from(self, above: Mapping[str, Any]) -> bool:
        """Return whether a run holds work that was made from that of another one's record."""
        parents = self.record().get("made_from", {}).get("parents", {})
        return parents.get(above["method"]) == above["checkpoint_digest"] and self.claimed()

    def saved(self) -> int | None:
        """Return the step of the last checkpoint, None if there is none."""
        names = [path.name for path in (self.folder / "checkpoints").glob("*")]
        return max((int(name) for name in names if name.isdigit()), default=None)

    def begin(self, source: Mapping[str, Any]) -> None:
        """Claim the folder: write run.json of a run that is to be made, or goes on.

        It is called when all inputs have been looked at, so that a command that fails leaves
        nothing. What an unclaimed run of another identity left is removed.
        """
        wanted = identity(source)
        if gone := self._gone(self.record()):
            tell(f"{self.folder / gone[0]}: is gone; {self.method} is made again from what is left")
        if is_first() and not same(self.record(), source):
            for name in LEFTOVERS:
                _remove(self.folder / name)
        values = {"identity": wanted, "made_from": source, "data_fingerprint": source["data"]}
        self.write("running", **values)

    def _other(self, record: Mapping[str, Any], source: Mapping[str, Any]) -> str:
        """Return why a folder's run is refused, key by key, and what would go on."""
        found = differences(record, source)
        lines = [
            f"{self.folder}: holds a run of method {record.get('method')!r}, made otherwise than "
            "asked:",
            *describe(found),
            f"It goes on {how_to_continue(found)}. For what is asked, choose another --workdir, or "
            "delete this folder to run it again",
        ]
        return "\n".join(lines)

    def require_asked_as_made(self, stage: Stage) -> None:
        """Check that ``config`` asks about what the run of this folder was made for.

        Raises:
          ValueError: its configuration chose something else; the message says key by key what.
        """
        made = self.record()["config"]
        found = [(key, value_of(made, key), value_of(self.config, key)) for key in stage.asked_as]
        wrong = [one for one in found if one[1] != one[2]]
        for key in stage.asked_within:
            there, asked = value_of(made, key), value_of(self.config, key)
            if there and not 0 < asked <= there:  # 0 is all
                wrong.append((key, there, asked))
        if wrong:
            differing = ", ".join(f"{key} {there}, not {asked}" for key, there, asked in wrong)
            flags = " ".join(f"--config.{key}={there}" for key, there, _ in wrong)
            raise ValueError(
                f"{self.folder}: its run of {self.method!r} was made with {differing}, so its "
                f"answers to these questions would stand under a wrong name; ask it with {flags}, "
                "or make a run for what is asked"
            )

    def give_up(self, error: Diverged) -> None:
        """Note that the run has diverged, so that it is not trained again to the same end."""
        self.write(DIVERGED, **{DIVERGED: error.why})

    def write(self, status: str, **values) -> None:
        """Update run.json; when this returns, every process reads the new one.

        Raises:
          ValueError: processes do not see the same file.
        """
        if is_first():
            self._write(status, values)
        wait_for_all(f"{self.folder} is {status}")
        require_same(f"{self.folder / 'run.json'}", json.dumps(self.record()))

    def _write(self, status: str, values: dict) -> None:
        files = {"files": small_files(self.folder)} if status == "finished" else {}
        record = {
            "schema": 1,
            "method": self.method,
            "seed": self.config.seed,
            **self.labels,
            "protocol": self.config.evaluation.protocol,
            "command": command_line(),
            "config": self.config.to_dict(),
            "environment": environment(),
            **self.record(),
            "status": status,
            **values,
            **files,
        }
        if status == "finished" and not Verification.weights:
            record[UNVERIFIED] = True
        write_sealed(self.folder / RECORD, record)

    def cost(self, loaded: Loaded, trainable: int) -> dict:
        """Return what the run took, over all its sessions, and the sizes of its model.

        Args:
          loaded: the trained model.
          trainable: number of weights that were trained.

        Returns:
          steps, tokens, seconds, parameters and trainable.
        """
        lines = read_jsonl(self.folder / "metrics.jsonl")
        leaves = jax.tree.leaves(loaded.variables["params"])
        return {
            "steps": max((line["step"] for line in lines), default=0),
            "tokens": int(sum(line.get("tokens", 0) for line in lines)),
            "seconds": round(sum(line.get("seconds", 0) for line in lines), 1),
            "parameters": sum(leaf.size for leaf in leaves),
            "trainable": trainable,
        }


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def open_run(folder: Path, config: ConfigDict, fingerprint: str | None) -> Run:
    """Return the finished run of a folder.

    Args:
      fingerprint: of the data that it is to be evaluated on, None if that is not there yet.

    Raises:
      ValueError: the run is not finished, or was trained on other data.
    """
    record = read_run(folder / RECORD)
    if record.get("status") != "finished":
        raise ValueError(
            f"{folder / 'run.json'}: status is {record.get('status')!r}, not 'finished'"
        )
    if fingerprint is not None and record["data_fingerprint"] != fingerprint:
        raise ValueError(
            f"{folder}: trained on data {record['data_fingerprint'][:12]}, the config's benchmark "
            f"is {fingerprint[:12]}; prepare the dataset this run was trained on"
        )
    return Run(folder, record["method"], config)
