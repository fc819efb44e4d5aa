"""A run's folder and its record: what was asked for, whether it is finished, and by which digest it
is known.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from experiments.common import command_line, digest, environment
from mllm.files import read_json, read_jsonl, write_json
from mllm.parallel.launch import is_first, require_same, wait_for_all

# What a run's weights depend on, beside the data and its parent's weights.
DEPENDS_ON = {
    "pretrained": ("seed", "pretrained", "model", "processor"),
    "base": ("seed", "model", "processor", "rows", "base", "lora"),
    "vanilla": ("seed", "tuning", "rows", "vanilla", "replay", "lora"),
    "retain_only": (
        "seed",
        "tuning",
        "rows",
        "vanilla",
        "retain_only_epochs",
        "replay",
        "lora",
        "benchmark.forget",
    ),
}


@dataclass(frozen=True)
class Run:
    """One folder of a workdir, with the configuration that makes it."""

    folder: Path
    method: str
    config: ConfigDict

    @property
    def forget(self) -> int:
        return self.config.benchmark.forget

    def record(self) -> dict:
        """run.json, or {} before the run began."""
        path = self.folder / "run.json"
        return read_json(path) if path.exists() else {}

    def identity(self, fingerprint: str, parents: list[str]) -> str:
        """Digest of all the weights depend on: configuration, data, weights of the parents."""
        values = self.config.to_dict()
        keys = DEPENDS_ON.get(self.method)
        if keys is None:
            chosen = {key: values[key] for key in ("seed", "tuning", "rows", "lora")}
            chosen.update(method=values["methods"][self.method], forget=self.forget)
        else:
            chosen = {key: values[key] for key in keys if key != "benchmark.forget"}
            chosen["forget"] = self.forget if "benchmark.forget" in keys else None
        chosen["limit"] = values["benchmark"]["limit"]
        return digest([self.method, chosen, fingerprint, parents])

    def finished(self, identity: str) -> bool:
        """Whether the run is done and is the one asked for.

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
            "forget": self.forget,
            "split": f"forget_{self.forget}",
            "protocol": self.config.evaluation.protocol,
            "command": command_line(),
            "config": self.config.to_dict(),
            "environment": environment(),
            **self.record(),
            "status": status,
            **values,
        }
        write_json(self.folder / "run.json", record)

    def cost(self) -> dict:
        """Steps, tokens and seconds of training, from the metrics of all its sessions."""
        lines = read_jsonl(self.folder / "metrics.jsonl")
        return {
            "steps": max((line["step"] for line in lines), default=0),
            "tokens": int(sum(line.get("tokens", 0) for line in lines)),
            "seconds": round(sum(line.get("seconds", 0) for line in lines), 1),
        }
