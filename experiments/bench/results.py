"""What a benchmark found, as a file: figures, and the calls that they were measured in.

    {"config", "calls": [{"command", "date", "environment", "code", "machine", "peer", "compile"}],
     "equal": {what: {"difference", "tolerance"}} or null where it was not checked,
     "lines": {name: {"ours": figure or null, "peer": figure or null, "failed": {side: why}}}}

A figure names the call that it comes from.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mllm.files import read_json
from mllm.studies.environment import command_line, digest, environment

ROOT = Path(__file__).parents[2]
SAME = ("device", "backend", "jax", "python")  # of an environment, that merged calls must share


def new_result(config, names) -> dict:
    """Return a result without figures, with one call: this one."""
    call = {
        "command": command_line(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "environment": environment(),
        "code": code_digest(),
        "machine": None,
        "peer": None,
        "compile": None,
    }
    lines = {name: {"ours": None, "peer": None} for name in names}
    return {
        "config": digest(without_data(config))[:16],
        "calls": [call],
        "equal": None,
        "lines": lines,
    }


def without_data(config) -> dict:
    """Return a configuration without the folder that its data lie in."""
    found = config.to_dict()
    found["benchmark"].pop("data_dir", None)
    return found


def code_digest() -> str:
    """Return a digest of all source files: the same commit with other changes is another code, and
    a copy without its history is known too.
    """
    total = hashlib.sha256()
    for folder in ("mllm", "experiments", "configs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def merge(result: dict, path: Path) -> None:
    """Add the figures of an earlier result that this one lacks.

    Raises:
      FileNotFoundError, ValueError: the file is no result, or it was measured with another
        configuration, code, device or version; the message names what differs.
    """
    other = read_json(path)
    if not {"config", "calls", "lines"} <= set(other):
        raise ValueError(f"{path}: expected a file that experiments.bench --out wrote")
    differing = list(_differences(result, other))
    if differing:
        raise ValueError(
            f"{path}: cannot be merged, because it was measured with another {'; '.join(differing)}"
        )
    shift = len(result["calls"])
    result["calls"] += other["calls"]
    result["equal"] = result["equal"] or other["equal"]
    for name, figures in other["lines"].items():
        line = result["lines"].setdefault(name, {"ours": None, "peer": None})
        for side in ("ours", "peer"):
            figure = figures[side]
            if figure is not None and line[side] is None:
                line[side] = {**figure, "call": figure["call"] + shift}


def _differences(result: dict, other: dict) -> Iterator[str]:
    """Yield what two results do not share."""
    here = result["calls"][0]
    if other["config"] != result["config"]:
        yield f"configuration (found {other['config']}, here {result['config']})"
    for call in other["calls"]:
        if call["code"] != here["code"]:
            found, now = (c["environment"]["git"][:7] for c in (call, here))
            yield f"code (found {call['code']} of commit {found}, here {here['code']} of {now})"
        for key in SAME:
            found, now = call["environment"].get(key), here["environment"].get(key)
            if found != now:
                yield f"{key} (found {found!r}, here {now!r})"


def require_same_peer(result: dict) -> None:
    """Check that all calls used the same versions of the peer's packages.

    Raises:
      ValueError: naming a package and the versions.
    """
    known = [call["peer"] for call in result["calls"] if call["peer"]]
    for peer in known[1:]:
        for name, found in peer.items():
            if found != known[0].get(name):
                raise ValueError(
                    f"--merge: another {name} of the peer (found {found}, here {known[0][name]})"
                )


def ratio(line: dict) -> float | None:
    """Return our rate over the peer's, None if one of them was not measured."""
    ours, peer = line["ours"], line["peer"]
    return None if ours is None or peer is None else ours["rate"] / peer["rate"]


def apart(line: dict) -> bool:
    """Return whether both sides were measured, but in different calls."""
    ours, peer = line["ours"], line["peer"]
    return ours is not None and peer is not None and ours["call"] != peer["call"]
