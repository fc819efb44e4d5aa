"""Seals the results of run folders that tests write by hand or change on purpose."""

import hashlib
import json
from pathlib import Path

from mllm.files import seal, without_seal


def seal_results(path: Path, part: str | None = None) -> Path:
    """Seal a results.json as an evaluation does, with its manifests and records as they are now.

    Args:
      part: the folder next to the file that holds the evaluation, where no entry names one.
    """
    results = json.loads(path.read_text(encoding="utf-8"))
    for place, entry in enumerate(results["runs"]):
        chosen = entry.get("made_from", {}).get("part", part)
        manifest = path.parent / chosen / "manifest.json"
        manifest.parent.mkdir(exist_ok=True)
        held = without_seal(json.loads(manifest.read_text())) if manifest.is_file() else {}
        manifest.write_text(json.dumps(seal(held)))
        files = {
            name: hashlib.sha256((manifest.parent / name).read_bytes()).hexdigest()
            for name in ("manifest.json", "records.jsonl")
            if (manifest.parent / name).is_file()
        }
        results["runs"][place] = seal({**entry, "made_from": {"part": chosen, **files}})
    path.write_text(json.dumps(results), encoding="utf-8")
    return path
