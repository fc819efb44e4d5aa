"""What changes while training."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from mllm.parallel.mesh import one_device
from mllm.parallel.place import make_on, place
from mllm.training.optimizers import Schedule, with_rate


class TrainState(NamedTuple):
    """Attributes:
    step: i32[], updates done.
    trainable: {"params": tree} or {"lora": tree}, float32 leaves.
    opt: the optimizer's state, for the trainable leaves only.
    numbers: f32[] by name, those of the objective.
    """

    step: jax.Array
    trainable: dict[str, Any]
    opt: optax.OptState
    numbers: dict[str, jax.Array] = {}  # noqa: RUF012


def create(
    trainable: dict[str, Any],
    optimizer: optax.GradientTransformation,
    mesh: Mesh | None = None,
    rate: Schedule | None = None,
    numbers: Mapping[str, float] | None = None,
) -> TrainState:
    """Return the state before the first update, all of it laid over ``mesh`` by the rules; None is
    the first device.

    Args:
      rate: learning rates, in place of those that the optimizer was made with.
      numbers: those of the objective.

    Raises:
      ValueError: a trainable leaf that is not float32. bfloat16 weights do not move at
        small learning rates: an update of 1e-5 on a weight of 0.02 is below half a unit in the
        last place.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(trainable):
        if leaf.dtype != jnp.float32:
            name = jax.tree_util.keystr(path)
            raise ValueError(f"trainable leaf {name} is {leaf.dtype}, expected float32")
    mesh = mesh or one_device()
    trainable, step = place(trainable, mesh), place(np.zeros((), np.int32), mesh)
    # Counters too: the compiler would put them on one device, where no later step can use them.
    opt = make_on(mesh, optimizer.init, trainable)
    if rate is not None:
        opt = with_rate(opt, place(rate.begin(), mesh))
    first = {name: np.float32(value) for name, value in (numbers or {}).items()}
    return TrainState(step, trainable, opt, place(first, mesh))
