"""How an instructed model reads the pictures of requests: the weights of its encoders and of its
query sets, and where in a picture it looks; kept in one file next to the replies.

Q requests, L layers of the fusion, N encoders, m query sets, K requests whose attention is kept.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mllm.data.encoded import Encoded, content_number
from mllm.data.rows import instruction_room, place_instructions
from mllm.decoding.split import decoding_program
from mllm.evaluation.ahead import Calls
from mllm.evaluation.request import Request, Rounds
from mllm.evaluation.runner import LocalModel
from mllm.files import replacing

FILE = "looks.npz"
TOGETHER = 64  # pictures that are explained together
_ATTENTION = "attention_"


@dataclass(frozen=True)
class Looks:
    """How requests were read.

    Attributes:
      keys: of the requests that show a picture, Q of them.
      encoders: names of the encoders.
      gates: float32[Q, L, N], the weights of the encoders.
      bank: float32[Q, m], the weights of the query sets.
      shown: i32[K], the rows of those whose attention is kept.
      attention: float32[K, L, rows, columns] of each encoder, where each layer looks, of sum 1.
    """

    keys: tuple[str, ...]
    encoders: tuple[str, ...]
    gates: np.ndarray
    bank: np.ndarray
    shown: np.ndarray
    attention: Mapping[str, np.ndarray]


@decoding_program()
def explain(model, config, variables: dict, media: dict) -> dict:
    """Return what ``explain`` of a family returns."""
    return model.explain(config, variables, media)


def explained(model: LocalModel, requests: Sequence[Request], shown: int = 0) -> Looks | None:
    """Return how an instructed model reads requests; None if none shows a picture.

    If a request shows several pictures, its last one counts.

    Args:
      shown: K, the requests whose attention is kept, at most: the first ones.
    """
    watch = Watch(model, shown)
    watch.add(requests)
    return watch.looks()


class Watch:
    """Explains requests as they are asked; each way to read a picture is computed once."""

    def __init__(self, model: LocalModel, shown: int = 0):
        self.model, self.shown = model, shown
        self._rows: dict[str, int] = {}  # content number of what each request shows
        self._found: dict[int, dict] = {}  # by this number

    def add(self, requests: Sequence[Request]) -> None:
        """Explain requests."""
        waiting: dict[int, Encoded] = {}
        for request in requests:
            if request.key in self._rows or not any(turn.media for turn in request.turns):
                continue
            prompt = self.model.prompt(request)
            number = content_number(prompt.media[-1])
            self._rows[request.key] = number
            if number not in self._found:
                waiting.setdefault(number, prompt)
        items = list(waiting.items())
        for first in range(0, len(items), TOGETHER):
            self._explain(items[first : first + TOGETHER])

    def _explain(self, items: Sequence[tuple[int, Encoded]]) -> None:
        calls = Calls(self.model.loaded, self.model.features)
        processor = self.model.loaded.processor
        # Rows that are left over repeat the last one.
        prompts = [prompt for _, prompt in items]
        prompts += [prompts[-1]] * (TOGETHER - len(prompts))
        last = [(prompt, len(prompt.media) - 1) for prompt in prompts]
        features = np.stack([array[:1] for array in calls.features(last)])
        laid = {"features": features, "slots": np.zeros((TOGETHER, 1), np.int32)}
        under = [processor.instruction_ids(prompt.media[-1]) for prompt in prompts]
        place_instructions(laid, under, instruction_room(under))
        found = calls.run(explain, calls.place({"image": laid}))
        gates, bank = calls.fetch(found["gates"]), calls.fetch(found["bank"])
        attention = {n: calls.fetch(array) for n, array in found["attention"].items()}
        for row, (number, _) in enumerate(items):
            # The attention is read only of the first ones.
            kept = len(self._found) < self.shown
            self._found[number] = {
                "gates": gates[row, 0],
                "bank": bank[row, 0],
                "attention": {n: a[row, 0] for n, a in attention.items()} if kept else None,
            }

    def looks(self) -> Looks | None:
        """Return how the requests were read; None if none of them shows a picture."""
        if not self._rows:
            return None
        found = [self._found[number] for number in self._rows.values()]
        shown = [row for row, one in enumerate(found[: self.shown]) if one["attention"]]
        names = [encoder.name for encoder in self.model.loaded.config.vision.encoders]
        return Looks(
            tuple(self._rows),
            tuple(names),
            np.stack([one["gates"] for one in found]),
            np.stack([one["bank"] for one in found]),
            np.asarray(shown, np.int32),
            {n: np.stack([found[row]["attention"][n] for row in shown]) for n in names if shown},
        )


def watched(rounds: Rounds, see: Callable[[Sequence[Request]], None]) -> Rounds:
    """Yield rounds, and show each to ``see`` once it is answered."""
    try:
        requests = next(rounds)
        while True:
            try:
                replies = yield requests
            except ValueError as error:
                requests = rounds.throw(error)
            else:
                see(requests)
                requests = rounds.send(replies)
    except StopIteration:
        return


def write_looks(folder: Path, looks: Looks, depends_on: str) -> None:
    """Write the file that ``read_looks`` reads.

    Args:
      depends_on: digest of all that they follow from.
    """
    arrays = {
        "keys": np.asarray(looks.keys, np.str_),
        "encoders": np.asarray(looks.encoders, np.str_),
        "gates": looks.gates,
        "bank": looks.bank,
        "shown": looks.shown,
        **{_ATTENTION + name: array for name, array in looks.attention.items()},
    }
    with replacing(folder / FILE) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays, depends_on=depends_on, seal=_seal(arrays, depends_on))


def read_looks(folder: Path, depends_on: str | None = None) -> Looks:
    """Read the looks of an evaluation.

    Args:
      depends_on: that they must have been written with; None takes any.

    Raises:
      FileNotFoundError: there are none.
      ValueError: the file was damaged or changed, or depends on something else.
    """
    path = Path(folder) / FILE
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = dict(kept)
        bound, seal = (str(arrays.pop(name)) for name in ("depends_on", "seal"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: no such file; evaluate the run again, which writes it"
        ) from None
    except (ValueError, KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: is damaged ({error}); evaluate the run again") from None
    if seal != _seal(arrays, bound) or depends_on not in (None, bound):
        raise ValueError(
            f"{path}: was changed, or is of another model or other questions; evaluate the run "
            "again"
        )
    attention = {
        name.removeprefix(_ATTENTION): array
        for name, array in arrays.items()
        if name.startswith(_ATTENTION)
    }
    keys, encoders = (tuple(arrays[name].tolist()) for name in ("keys", "encoders"))
    rest = (arrays[name] for name in ("gates", "bank", "shown"))
    return Looks(keys, encoders, *rest, attention)


def _seal(arrays: Mapping[str, np.ndarray], depends_on: str) -> str:
    total = hashlib.sha256(depends_on.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return total.hexdigest()
