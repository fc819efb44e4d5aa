"""Progress: a live line on a terminal, plain lines elsewhere; metrics as JSONL and TensorBoard
events.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mllm.files import write_text
from mllm.parallel.launch import is_first


def tell(line: str) -> None:
    """Print a line to standard error, once for all processes."""
    if is_first():
        print(line, file=sys.stderr, flush=True)


class Progress:
    """Steps done of ``total``, rate, ETA and the latest values; on a pipe one line every ``every``
    seconds. Only the first process prints.
    """

    def __init__(self, name: str, total: int, *, start: int = 0, every: float = 10.0):
        self.name, self.total, self.start, self.every = name, total, start, every
        self.live = sys.stderr.isatty()
        self.began, self.shown_at = time.monotonic(), -math.inf

    def update(self, done: int, **values: float) -> None:
        """Tell that ``done`` steps are done."""
        if not is_first():
            return
        now = time.monotonic()
        last = done >= self.total
        if now - self.shown_at < (0.2 if self.live else self.every) and not last:
            return
        self.shown_at = now
        rate = (done - self.start) / max(now - self.began, 1e-9)
        eta = (self.total - done) / rate if rate > 0 else math.inf
        shown = " ".join(f"{k} {v:.4g}" for k, v in values.items())
        eta_text = f"{eta:.0f} s" if math.isfinite(eta) else "?"
        line = f"{self.name} {done}/{self.total}  {rate:.3g}/s  ETA {eta_text}  {shown}".rstrip()
        if self.live:
            print(f"\r\x1b[2K{line}", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def counted(name: str) -> Callable[[int, int], None]:
    """Return what prints progress where the total grows: it is called with (done, total)."""
    line = Progress(name, 0)

    def update(done: int, total: int) -> None:
        line.total = total
        line.update(done)

    return update


def read_lines(path: Path) -> list[dict]:
    """Return the whole lines of a file of metrics; tell how many are damaged, and pass over them.

    No number but the cost of a run depends on them.
    """
    texts = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    found = []
    for text in texts:
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                found.append(line)
    if len(found) < len(texts):
        tell(f"{path}: {len(texts) - len(found)} damaged lines are dropped")
    return found


class MetricsWriter:
    """Appends metrics of a run to ``metrics.jsonl`` and to TensorBoard events below
    ``tensorboard/``; on processes other than the first it writes nothing.

    ``resume_step`` drops what an interrupted run wrote past the checkpoint it resumes from. Damaged
    lines are dropped too.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        self._writes = is_first()
        if not self._writes:
            return
        # Only here: it takes torch along where that is installed, which takes seconds.
        from tensorboardX import SummaryWriter

        self.path = Path(folder) / "metrics.jsonl"
        kept = [line for line in read_lines(self.path) if line["step"] <= resume_step]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = self.path.open("a", encoding="utf-8")
        purge = {"purge_step": resume_step + 1} if resume_step else {}
        self._events = SummaryWriter(str(Path(folder) / "tensorboard"), **purge)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Write one line: the step, the time and the values."""
        if not self._writes:
            return
        record = {"step": step, "time": time.time(), **values}
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def close(self) -> None:
        if self._writes:
            self._file.close()
            self._events.close()
