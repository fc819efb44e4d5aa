"""Which weights matter most to what a stage is about: measured once before it trains, and kept."""

import hashlib
import zipfile
import zlib
from pathlib import Path

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mllm.checkpoints.loaded import Loaded
from mllm.data.pipeline import Pipeline
from mllm.files import replacing
from mllm.parallel.launch import is_first, require_same, wait_for_all
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, make_on, place, place_rows
from mllm.studies.run import Run
from mllm.studies.weights import Weights
from mllm.training.objective import Objective
from mllm.training.progress import tell
from mllm.training.squares import mean_squares

FILE = "salient.npz"


def salient_weights(
    objective: Objective, start: Loaded, weights: Weights, pipeline: Pipeline, run: Run
) -> dict:
    """Return {"salient": a tree of bools like the weights that train}, kept in the run's folder so
    that a resumed run measures nothing; {} if the objective does not ask for it.

    Raises:
      ValueError: there are no answers of the primary role, or none of the others, to compare.
    """
    if objective.salient is None:
        return {}
    path, depends_on = run.folder / FILE, run.record()["identity"]
    mesh = mesh_of(weights.trainable)
    wait_for_all(f"{path} is looked for")
    if path.is_file():
        found = _read(path, depends_on, weights.trainable)
        require_same(str(path), "none" if found is None else _digest(found, depends_on))
        if found is not None:
            return {"salient": place(found, mesh)}
        tell(f"{path}: is damaged or of another run; its values are computed again")
    squares = []
    others = [role for role in objective.roles if role != objective.primary]
    for roles in ([objective.primary], others):
        batches = [batch for role in roles for batch in pipeline.once_over(role)]
        if not batches:
            raise ValueError(
                f"{run.method}: compares how much each weight matters to two sets, but there is no "
                f"example of {' or '.join(roles)}; choose splits that have some"
            )
        found = mean_squares(
            start.model,
            start.config,
            weights.trainable,
            weights.frozen,
            (place_rows(batch, mesh) for batch in batches),
            mesh=mesh,
            each=objective.squares,
        )
        squares.append(found)
    salient = make_on(mesh, _chosen, *squares, objective=objective)
    if is_first():
        _write(path, jax.tree.map(fetch, salient), depends_on)
    return {"salient": salient}


def _chosen(primary: dict, others: dict, objective: Objective) -> dict:
    return jax.tree.map(objective.salient, primary, others)


def _write(path: Path, salient: dict, depends_on: str) -> None:
    flat = flatten_dict(salient, sep="/")
    bits = {name: np.packbits(leaf) for name, leaf in flat.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, depends_on=_digest(salient, depends_on), **bits)


def _read(path: Path, depends_on: str, like: dict) -> dict | None:
    """Return the bools of a file if they are whole, and follow from ``depends_on``."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            found = {
                name: np.unpackbits(kept[name], count=leaf.size).reshape(leaf.shape).astype(bool)
                for name, leaf in flatten_dict(like, sep="/").items()
            }
            bound = str(kept["depends_on"])
    except (ValueError, KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return None
    salient = unflatten_dict(found, sep="/")
    return salient if bound == _digest(salient, depends_on) else None


def _digest(salient: dict, depends_on: str) -> str:
    """Return a digest of the bools together with that of what they follow from."""
    found = hashlib.sha256(depends_on.encode())
    for name, leaf in sorted(flatten_dict(salient, sep="/").items()):
        found.update(name.encode() + np.packbits(leaf).tobytes())
    return found.hexdigest()
