"""What changes while training."""

from typing import Any, NamedTuple

import jax
import optax


class TrainState(NamedTuple):
    """Attributes:
    step: i32[], updates done.
    trainable: {"params": tree} or {"lora": tree}, float32 leaves.
    opt: the optimizer's state, for the trainable leaves only.
    """

    step: jax.Array
    trainable: dict[str, Any]
    opt: optax.OptState


def create(trainable: dict[str, Any], optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first update.

    Raises:
      ValueError: a trainable leaf that is not float32. bfloat16 weights do not move under
        unlearning learning rates: an update of 1e-5 on a weight of 0.02 is below half a unit in the
        last place.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(trainable):
        if leaf.dtype != jax.numpy.float32:
            name = jax.tree_util.keystr(path)
            raise ValueError(f"trainable leaf {name} is {leaf.dtype}, expected float32")
    return TrainState(jax.numpy.zeros((), jax.numpy.int32), trainable, optimizer.init(trainable))
