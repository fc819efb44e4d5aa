"""A run's folder and its record: what was asked for, whether it is finished, what it cost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from mllm.checkpoints.loaded import Loaded
from mllm.files import read_json, read_jsonl, write_json
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.studies.environment import command_line, environment


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
        path = self.folder / "run.json"
        return read_json(path) if path.exists() else {}

    def finished(self, identity: str) -> bool:
        """Return whether the run is done and is the one asked for.

        Args:
          identity: of ``mllm.studies.stage.identity``.

        Raises:
          ValueError: the folder holds a run of another configuration, data or parent, or processes
            disagree on what is asked for or on what the folder holds.
        """
        record = self.record()
        require_same(f"{self.folder}: the run asked for", identity)
        require_same(f"{self.folder / 'run.json'}", json.dumps(record))
        if record and record["identity"] != identity:
            raise ValueError(
                f"{self.folder}: holds a run of method {record['method']!r} with identity "
                f"{record['identity'][:12]}, expected {identity[:12]}: its config, data or "
                "parent is another one. Choose another --workdir, or delete this folder to run it "
                "again"
            )
        return record.get("status") == "finished"

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
        }
        write_json(self.folder / "run.json", record)

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


def open_run(folder: Path, config: ConfigDict, fingerprint: str) -> Run:
    """Return the finished run of a folder.

    Args:
      fingerprint: of the data that it is to be evaluated on.

    Raises:
      ValueError: the run is not finished, or was trained on other data.
    """
    record = read_json(folder / "run.json")
    if record.get("status") != "finished":
        raise ValueError(
            f"{folder / 'run.json'}: status is {record.get('status')!r}, not 'finished'"
        )
    if record["data_fingerprint"] != fingerprint:
        raise ValueError(
            f"{folder}: trained on data {record['data_fingerprint'][:12]}, the config's benchmark "
            f"is {fingerprint[:12]}; prepare the dataset this run was trained on"
        )
    return Run(folder, record["method"], config)
