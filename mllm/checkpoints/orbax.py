"""Checkpoints as separate Orbax items, each of which can be restored without the others.

A step is committed together with the digests of its files (``<step>/digests.json``), so a damaged
one is noticed before anything continues from it.
"""

import contextlib
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from mllm.checkpoints.contents import (
    Verification,
    below,
    difference,
    digests_of,
    require_same_weights,
)
from mllm.files import read_sealed, write_sealed
from mllm.parallel.launch import is_first, share_problem, wait_for_all
from mllm.parallel.rules import shardings

DIGESTS = "digests.json"
# What Orbax raises for a file that is cut, missing or not its own.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, IndexError, FileNotFoundError)
_SET_ASIDE = "damaged-"


class Checkpoints:
    """The checkpoints of one run in ``folder``: every tree is a separate item, ``meta`` is JSON.

    A rename commits a step, so a step that was being written when the process died is ignored.
    Every process makes the same calls, with arrays on a mesh of all processes. A step can be
    restored on any other mesh.
    """

    def __init__(self, folder: Path, *, keep: int = 2, writes: bool = True):
        self.folder, self._saving = Path(folder).absolute(), 0
        self._keep, self._size = keep, 0
        before_commit = ocp.options.AsyncOptions(post_finalization_callback=self._write_digests)
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=writes, async_options=before_commit
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def latest(self) -> int | None:
        """Return the last complete step, or None."""
        return self._manager.latest_step()

    def save(self, step: int, items: dict[str, dict], meta: dict) -> None:
        """Write a step in the background: trees by name, and ``meta`` as JSON."""
        trees = {name: ocp.args.StandardSave(tree) for name, tree in items.items()}
        with self._noting_size():
            self._manager.wait_until_finished()
            self._saving = step
            self._size = sum(leaf.nbytes for leaf in jax.tree.leaves(items))
            self._manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **trees))

    @contextlib.contextmanager
    def _noting_size(self) -> Iterator[None]:
        """Let an error say how much room checkpoints take, in case that the disk is full."""
        try:
            yield
        except Exception as error:
            if self._size:
                error.add_note(
                    f"a checkpoint takes up to {self._size / 1e6:,.1f} MB, and while one is "
                    f"written the {self._keep} before it are kept"
                )
            raise

    def _write_digests(self) -> None:
        """Write the digests of all items of the step that is about to be committed."""
        if is_first():
            found = self.folder.glob(f"{self._saving}.*tmp*")
            step = max(found, key=lambda path: path.stat().st_mtime_ns)  # not a killed process's
            files = [path for path in step.glob("*/**/*") if path.is_file()]
            names = sorted(path.relative_to(step).as_posix() for path in files)
            write_sealed(step / DIGESTS, {"files": digests_of(below(step, names))})

    def require_whole(self, step: int, items: Iterable[str]) -> None:
        """Check that the files of items are what they were when the step was committed.

        A step from before there were digests is not checked. It is done before the files are read:
        of what it finds in a damaged one, TensorStore prints pages.

        Raises:
          ValueError: a file is not; the message names it.
        """
        where, items = self.folder / str(step), set(items)
        recorded = {
            name: digest for name, digest in _digests(where).items() if Path(name).parts[0] in items
        }
        advice = (
            f"Put it back as it was; or, if a run was trained here, delete {where} and run the "
            "training command again, which goes on from the checkpoint before it"
        )
        require_same_weights(below(where, recorded), recorded, where / DIGESTS, advice)

    def restore(self, step: int, items: dict[str, dict]) -> dict[str, dict]:
        """Restore trees by name, placed and cast like the given trees of ShapeDtypeStructs.

        Raises one of ``UNREADABLE`` for damaged files and for other trees.
        """
        trees = {name: ocp.args.StandardRestore(tree) for name, tree in items.items()}
        return dict(self._manager.restore(step, args=ocp.args.Composite(**trees)))

    def stored(self, step: int, name: str) -> dict:
        """Return the ``shape`` and ``dtype`` of a tree's leaves without reading their values."""
        return ocp.StandardCheckpointHandler().metadata(self.folder / str(step) / name).tree

    def meta(self, step: int) -> dict:
        """Return the JSON that was saved with a step."""
        restore = ocp.args.Composite(meta=ocp.args.JsonRestore())
        return self._manager.restore(step, args=restore)["meta"]

    def close(self) -> None:
        """Wait until everything is written."""
        with self._noting_size():
            self._manager.wait_until_finished()
            self._manager.close()


def set_aside_damaged(folder: Path) -> list[str]:
    """Rename the last steps that are damaged, so that training continues from the one before them.

    Every process calls this, before the folder is opened.

    Returns:
      a line about each of them.
    """
    lines = []
    for step in sorted(steps_in(folder), reverse=True):
        problem = share_problem(_damage(folder / str(step)) if is_first() else "")
        if not problem:
            break
        aside = folder / f"{_SET_ASIDE}{step}"
        if is_first():
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
        wait_for_all(f"{aside} is set aside")
        lines.append(f"{problem}. That checkpoint is now {aside}")
    return lines


def steps_in(folder: Path) -> list[int]:
    """Return the complete steps below a folder of checkpoints, in no order."""
    return [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]


def brief(error: Exception) -> str:
    """Return the beginning of an error that Orbax writes as a paragraph."""
    return str(error).strip().partition("\n")[0][:300] or type(error).__name__


def _digests(step: Path) -> dict[str, str]:
    """Return the digests of a step's files, {} if it is from before there were any."""
    return read_sealed(step / DIGESTS)["files"] if (step / DIGESTS).is_file() else {}


def _damage(step: Path) -> str:
    """Return what is wrong with the files of a step, "" if nothing is."""
    if not Verification.weights:
        return ""
    try:
        recorded = _digests(step)
    except ValueError as error:
        return str(error)
    return difference(below(step, recorded), recorded, step / DIGESTS)


def abstract_on(mesh: Mesh, tree: dict, dtype=None) -> dict:
    """Return an abstract tree with shardings on a mesh, and ``dtype`` for floating-point leaves."""

    def placed(leaf, sharding):
        floating = np.issubdtype(leaf.dtype, np.floating) or leaf.dtype == jax.numpy.bfloat16
        kind = dtype if dtype is not None and floating else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=sharding)

    return jax.tree.map(placed, tree, shardings(tree, mesh))
