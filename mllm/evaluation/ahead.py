"""Programs are compiled in threads, ahead of their first call.

All requests are known before the first batch, and so are the shapes of all programs. A plan asks
everything once with shapes in place of arrays: each program is traced and handed to threads in the
order of the calls. The compiler does not hold Python's lock, so several programs are compiled at a
time while the first ones run. A call waits for its program, and raises what compiling it raised.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.checkpoints.loaded import Loaded
from mllm.data import anyres
from mllm.data.encoded import Encoded, content_number
from mllm.data.images import Picture
from mllm.evaluation.looking import Features, look, looked_at
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, place_rows

COMPILERS = max(1, min(4, (os.cpu_count() or 1) // 2))  # threads
_COMPILED: dict[Hashable, Any] = {}  # programs of this process, and the shapes that they return


class Calls:
    """How the programs of a model are called: at once, with arrays.

    Attributes:
      kept: features of pictures that were looked at; None looks at each picture every time.
      room: for the tokens of an instruction, at least; each room is a program to compile.
    """

    def __init__(self, loaded: Loaded, kept: Features | None = None, room: int = 0):
        self.loaded, self.kept, self.room = loaded, kept, room

    def pictures(self, encoded: Encoded, media: list[int]) -> list[Picture]:
        """Return the media of these numbers as pictures."""
        return [self.loaded.processor.prepare(encoded.media[number]) for number in media]

    def sounds(self, encoded: Encoded, media: list[int]) -> list[np.ndarray]:
        """Return the samples of the media of these numbers."""
        heard = self.loaded.processor.heard
        shown = [encoded.media[number] for number in media]
        return [heard(content_number(one), lambda one=one: one) for one in shown]

    def features(self, shown: Sequence[tuple[Encoded, int]]) -> list[np.ndarray]:
        """Return what the encoders of an instructed model make of media, float[tiles, F] of each.

        Args:
          shown: conversations, and the number of a medium of each.
        """
        numbers = [content_number(encoded.media[medium].bare) for encoded, medium in shown]
        places = dict(zip(numbers, shown, strict=True))

        def see(number: int) -> Picture:
            encoded, medium = places[number]
            return self.pictures(encoded, [medium])[0]

        kept = Features(limit=0) if self.kept is None else self.kept
        return kept.of(numbers, see, self._look)

    def _look(self, image: dict) -> np.ndarray:
        return self.fetch(self.run(look, self.place({"image": image})))[: len(image["values"]), 0]

    def place(self, rows: dict) -> dict:
        """Place arrays [R, ...] where the model is."""
        return self.loaded.place_rows(rows)

    def run(self, program: Callable, *arguments, **options):
        """Call ``program(model, config, variables, ...)``."""
        where = self.loaded.model, self.loaded.config, self.loaded.variables
        return program(*where, *arguments, **options)

    def fetch(self, array: jax.Array) -> np.ndarray:
        """Return the whole of a result."""
        return fetch(array)

    @cached_property
    def _model(self) -> Hashable:
        return self.loaded.family, self.loaded.config, _signature(self.loaded.variables)

    def _key(self, program: Callable, arguments: tuple, options: dict) -> Hashable:
        """Return what a compiled program follows from."""
        return program, self._model, _signature((arguments, options))


@contextlib.contextmanager
def compiled_ahead(calls: Calls, plan: Callable[[Calls], None] | None) -> Iterator[Calls]:
    """Give the calls of a model, whose programs are compiled while this context is open.

    Nothing is compiled ahead where several processes must compile in the same order, nor where the
    shapes of pictures are not known before they are read.

    Args:
      plan: makes all calls that will be made, in their order, in another thread; None compiles
        nothing ahead.
    """
    vision = calls.loaded.config.vision
    ragged = vision is not None and vision.ragged
    if plan is None or ragged or jax.process_count() > 1:
        yield calls
        return
    ahead = _Ahead(calls)
    threads = ThreadPoolExecutor(1, "plan")
    threads.submit(ahead.follow, plan)
    try:
        yield _Awaited(ahead)
    finally:
        ahead.close()
        threads.shutdown(wait=False)


class _Ahead:
    """The programs of a plan."""

    def __init__(self, calls: Calls):
        self.calls = calls.loaded, calls.kept, calls.room
        self._threads = ThreadPoolExecutor(COMPILERS, "compile")
        self._changed = threading.Condition()
        self._compiled: dict[Hashable, Future] = {}
        self._ends = self._closed = False

    def follow(self, plan: Callable[[Calls], None]) -> None:
        """Make the calls of a plan. A mistake ends it: who calls in earnest makes it again."""
        try:
            plan(_Planned(self))
        except Exception:
            pass
        finally:
            with self._changed:
                self._ends = True
                self._changed.notify_all()

    def compile(self, key: Hashable, lower: Callable[[], Any]) -> tuple[Any, Future]:
        """Return a lowered program, and its compiled form once a thread has it."""
        if self._closed:
            raise RuntimeError("nobody waits for the plan any more")
        lowered = lower()
        with self._changed:
            found = self._compiled[key] = self._threads.submit(lowered.compile)
            self._changed.notify_all()
        return lowered, found

    def wait(self, key: Hashable) -> None:
        """Wait until a program is compiled, or it is clear that it is not of the plan.

        Raises:
          jax.errors.JaxRuntimeError: of the compiler.
        """
        with self._changed:
            self._changed.wait_for(lambda: key in self._compiled or self._ends)
            found = self._compiled.get(key)
        if found is not None:
            found.result()

    def close(self) -> None:
        """Compile nothing more."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Awaited(Calls):
    """Calls that wait for their program."""

    def __init__(self, ahead: _Ahead):
        super().__init__(*ahead.calls)
        self._ahead = ahead

    def run(self, program: Callable, *arguments, **options):
        key = self._key(program, arguments, options)
        if key not in _COMPILED:
            self._ahead.wait(key)
        return super().run(program, *arguments, **options)


class _Planned(Calls):
    """Calls with shapes, which compile programs and return shapes; what is fetched is 0."""

    def __init__(self, ahead: _Ahead):
        super().__init__(*ahead.calls)
        self._ahead, self._mesh = ahead, mesh_of(self.loaded.variables)
        self._unseen: np.ndarray | None = None
        self._tile: tuple[int, ...] | None = None
        self._found: dict[Hashable, Any] = {}  # shapes that the programs of the plan return

    def pictures(self, encoded: Encoded, media: list[int]) -> list[Picture]:
        if self._tile is None and media:
            self._tile = super().pictures(encoded, media[:1])[0].tiles.shape[1:]
        return [self._blank(encoded, number) for number in media]

    def sounds(self, encoded: Encoded, media: list[int]) -> list[np.ndarray]:
        lengths = map(self.loaded.processor.samples, (encoded.media[number] for number in media))
        return [np.zeros(length, np.float32) for length in lengths]

    def features(self, shown: Sequence[tuple[Encoded, int]]) -> list[np.ndarray]:
        found = []
        for encoded, medium in shown:
            number = content_number(encoded.media[medium].bare)
            known = None if self.kept is None else self.kept.find(number)
            found.append(self._features_of(encoded, medium) if known is None else known)
        return found

    def _features_of(self, encoded: Encoded, medium: int) -> np.ndarray:
        """Return features of the shape of a medium, which will have to be looked at."""
        picture = self.pictures(encoded, [medium])[0]
        if self._unseen is None:
            self._unseen = next(looked_at([(0, picture)], self._look))[1][:1]
        return self._unseen.repeat(len(picture.tiles), axis=0)

    def _blank(self, encoded: Encoded, number: int) -> Picture:
        """Return a picture of the shapes of a medium."""
        spans = [span for span in encoded.spans if span.media == number]
        config, tiles = self.loaded.processor.config, sum(span.tiles for span in spans)
        offsets = None
        if config.transform == "anyres":
            offsets = anyres.blank(spans[0].length, tiles, config.cells)
        pixels = np.zeros((tiles, *self._tile), np.uint8)
        return Picture(pixels, (self._tile[:2],) * tiles, offsets=offsets)

    def place(self, rows: dict) -> dict:
        if self._mesh is None:
            return jax.tree.map(lambda array: _shape(array, None), rows)
        return place_rows(rows, self._mesh, put=_shape)

    def run(self, program: Callable, *arguments, **options):
        key = self._key(program, arguments, options)
        found = _COMPILED.get(key) or self._found.get(key)
        if found is None:
            where = self.loaded.model, self.loaded.config, self.loaded.variables
            lowered, compiled = self._ahead.compile(
                key, lambda: program.lower(*where, *arguments, **options)
            )
            found = self._found[key] = self._results(lowered, compiled)
            compiled.add_done_callback(partial(_keep, key, found))
        return found

    def _results(self, lowered, compiled: Future):
        mesh = self._mesh
        if mesh is None or mesh.size == 1:
            places = None if mesh is None else NamedSharding(mesh, P())
            return jax.tree.map(lambda result: _shape(result, places), lowered.out_info)
        # The compiler decides how results are split, and the next program is compiled for that.
        return jax.tree.map(_shape, lowered.out_info, compiled.result().output_shardings)

    def fetch(self, array) -> np.ndarray:
        return np.zeros(array.shape, array.dtype)


def _keep(key: Hashable, found, compiled: Future) -> None:
    """Note what a program returns, if it was compiled."""
    if not compiled.cancelled() and compiled.exception() is None:
        _COMPILED[key] = found


def _shape(array, sharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)


def _signature(tree) -> Hashable:
    """Return what a program is compiled for: structure, shapes, types and places."""
    leaves, structure = jax.tree.flatten(tree)
    return structure, tuple(
        (leaf.shape, str(leaf.dtype), _place(leaf)) if hasattr(leaf, "shape") else leaf
        for leaf in leaves
    )


def _place(leaf) -> Hashable:
    sharding = getattr(leaf, "sharding", None)
    return sharding if isinstance(sharding, NamedSharding) else None
