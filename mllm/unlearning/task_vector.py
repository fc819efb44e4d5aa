"""Task vectors (Ilharco et al. 2022, arXiv:2212.04089, section 3), as MUSE subtracts them."""

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, ROLES, role_tokens


def task_vector(scale: float = 1.0) -> Objective:
    """Learn the answers to forget even better, then move the weights the other way.

    The training loss is ``CE_forget``. After the last update the weights ``w`` that trained become
    ``w0 - scale * (w - w0)``, where ``w0`` are those that training started from. The update of an
    adapter is ``a @ b`` and starts at 0, so its ``b`` becomes ``-scale * b``. Metric:
    ``forget_nll``, which falls.

    Args:
      scale: how far the weights move the other way, > 0.

    Raises:
      ValueError: ``scale`` is not positive.
    """
    if scale <= 0:
        raise ValueError(f"task_vector needs scale > 0, got {scale}")

    def loss(token_logprobs: jax.Array, batch: Batch):
        forget_nll = masked_total(-token_logprobs, role_tokens(batch, FORGET))
        return mean(forget_nll), {"forget_nll": forget_nll}

    def edit(start: dict, trained: dict) -> dict:
        return jax.tree_util.tree_map_with_path(reverse, start, trained)

    def reverse(path: tuple, before: jax.Array, after: jax.Array) -> jax.Array:
        if path[0].key == "lora" and path[-1].key == "a":
            return after
        return before - scale * (after - before)

    return Objective(loss, rows="primary", roles=ROLES, primary=FORGET, edit=edit)
