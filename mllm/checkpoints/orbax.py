"""Checkpoints as separate Orbax items, so that each can be restored without building the rest."""

from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from mllm.parallel.rules import shardings


class Checkpoints:
    """Steps of one run below ``folder``; every tree is an item of its own, ``meta`` is JSON.

    A step is committed by a rename: one that was being written when the process died is not seen.
    Every process makes the same calls, with arrays that lie on a mesh of all of them; a step can be
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
        """The last complete step, None where there is none."""
        return self._manager.latest_step()

    def save(self, step: int, items: dict[str, dict], meta: dict) -> None:
        """Write a step in the background: trees by name, and ``meta`` (JSON values)."""
        trees = {name: ocp.args.StandardSave(tree) for name, tree in items.items()}
        self._manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **trees))

    def restore(self, step: int, items: dict[str, dict]) -> dict[str, dict]:
        """Trees by name, placed and cast as the abstract trees (ShapeDtypeStructs) say."""
        trees = {name: ocp.args.StandardRestore(tree) for name, tree in items.items()}
        return dict(self._manager.restore(step, args=ocp.args.Composite(**trees)))

    def stored(self, step: int, name: str) -> dict:
        """What a tree holds, unread: nested dict of leaves with ``shape`` and ``dtype``."""
        return ocp.StandardCheckpointHandler().metadata(self.folder / str(step) / name).tree

    def meta(self, step: int) -> dict:
        """The JSON that was saved with a step."""
        restore = ocp.args.Composite(meta=ocp.args.JsonRestore())
        return self._manager.restore(step, args=restore)["meta"]

    def close(self) -> None:
        """Wait for what is being written."""
        self._manager.wait_until_finished()
        self._manager.close()


def abstract_on(mesh: Mesh, tree: dict, dtype=None) -> dict:
    """An abstract tree with its places on a mesh, and ``dtype`` for its floating leaves if
    given.
    """

    def placed(leaf, sharding):
        floating = np.issubdtype(leaf.dtype, np.floating) or leaf.dtype == jax.numpy.bfloat16
        kind = dtype if dtype is not None and floating else leaf.dtype
        return jax.ShapeDtypeStruct(leaf.shape, kind, sharding=sharding)

    return jax.tree.map(placed, tree, shardings(tree, mesh))
