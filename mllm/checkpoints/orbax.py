"""Checkpoints as separate Orbax items, each of which can be restored without the others."""

from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from mllm.parallel.rules import shardings


class Checkpoints:
    """The checkpoints of one run in ``folder``: every tree is a separate item, ``meta`` is JSON.

    A rename commits a step, so a step that was being written when the process died is ignored.
    Every process makes the same calls, with arrays on a mesh of all processes. A step can be
    restored on any other mesh.
    """

    def __init__(self, folder: Path, *, keep: int = 2):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self.folder = Path(folder).absolute()
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
        self._manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **trees))

    def restore(self, step: int, items: dict[str, dict]) -> dict[str, dict]:
        """Restore trees by name, placed and cast like the given trees of ShapeDtypeStructs."""
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
        self._manager.wait_until_finished()
        self._manager.close()


def abstract_on(mesh: Mesh, tree: dict, dtype=None) -> dict:
    """Return an abstract tree with shardings on a mesh, and ``dtype`` for floating-point leaves."""

    def placed(leaf, sharding):
        floating = np.issubdtype(leaf.dtype, np.floating) or leaf.dtype == jax.numpy.bfloat16
        kind = dtype if dtype is not None and floating else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=sharding)

    return jax.tree.map(placed, tree, shardings(tree, mesh))
