"""Which weights matter most to what a stage is about: measured once before it trains, and kept."""

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from mllm.checkpoints.loaded import Loaded
from mllm.data.pipeline import Pipeline
from mllm.parallel.mesh import mesh_of
from mllm.parallel.place import fetch, make_on, place, place_rows
from mllm.studies.kept_arrays import Arrays, kept_arrays
from mllm.studies.run import Run
from mllm.studies.weights import Weights
from mllm.training.objective import Objective
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
    mesh, flat = mesh_of(weights.trainable), flatten_dict(weights.trainable, sep="/")
    sizes = {name: -(-leaf.size // 8) for name, leaf in flat.items()}

    def fits(bits: Arrays) -> bool:
        return {name: array.size for name, array in bits.items()} == sizes

    def compute() -> Arrays:
        salient = _measured(objective, start, weights, pipeline, run.method)
        found = flatten_dict(jax.tree.map(fetch, salient), sep="/")
        return {name: np.packbits(leaf) for name, leaf in found.items()}

    bits = kept_arrays(run.folder / FILE, run.record()["identity"], fits, compute)
    found = {
        name: np.unpackbits(bits[name], count=leaf.size).reshape(leaf.shape).astype(bool)
        for name, leaf in flat.items()
    }
    return {"salient": place(unflatten_dict(found, sep="/"), mesh)}


def _measured(
    objective: Objective, start: Loaded, weights: Weights, pipeline: Pipeline, method: str
) -> dict:
    """Return the weights that an objective chooses, as a tree of bools."""
    mesh, squares = mesh_of(weights.trainable), []
    others = [role for role in objective.roles if role != objective.primary]
    for roles in ([objective.primary], others):
        batches = [batch for role in roles for batch in pipeline.once_over(role)]
        if not batches:
            raise ValueError(
                f"{method}: compares how much each weight matters to two sets, but there is no "
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
    return make_on(mesh, _chosen, *squares, objective=objective)


def _chosen(primary: dict, others: dict, objective: Objective) -> dict:
    return jax.tree.map(objective.salient, primary, others)
