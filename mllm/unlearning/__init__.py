"""Unlearning methods: one file each, found by name in ``OBJECTIVES``."""

import inspect
from collections.abc import Callable

from mllm.registry import lookup
from mllm.training.nll import nll
from mllm.training.objective import Batch, Loss, Metrics, Objective
from mllm.unlearning.ce_u import ce_u
from mllm.unlearning.dpo import dpo
from mllm.unlearning.ga import ga
from mllm.unlearning.grad_diff import grad_diff
from mllm.unlearning.idk import idk
from mllm.unlearning.kl_min import kl_min
from mllm.unlearning.kl_uniform import kl_uniform
from mllm.unlearning.manu import manu
from mllm.unlearning.mmunlearner import mmunlearner
from mllm.unlearning.npo import npo
from mllm.unlearning.pava import pava
from mllm.unlearning.pdu import pdu
from mllm.unlearning.prompting import prompting
from mllm.unlearning.rmu import rmu
from mllm.unlearning.satimp import satimp
from mllm.unlearning.scrub import scrub
from mllm.unlearning.simnpo import simnpo
from mllm.unlearning.task_vector import task_vector
from mllm.unlearning.undial import undial
from mllm.unlearning.wga import wga

OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "nll": nll,
    "ga": ga,
    "grad_diff": grad_diff,
    "kl_min": kl_min,
    "npo": npo,
    "prompting": prompting,
    "simnpo": simnpo,
    "wga": wga,
    "satimp": satimp,
    "undial": undial,
    "ce_u": ce_u,
    "kl_uniform": kl_uniform,
    "rmu": rmu,
    "idk": idk,
    "scrub": scrub,
    "dpo": dpo,
    "task_vector": task_vector,
    "pdu": pdu,
    "mmunlearner": mmunlearner,
    "pava": pava,
    "manu": manu,
}

__all__ = ["OBJECTIVES", "Batch", "Loss", "Metrics", "Objective", "get_objective"]


def get_objective(name: str, **options) -> Objective:
    """Build an objective from its name and options.

    Args:
      name: a key of ``OBJECTIVES``.
      options: parameters of that factory; what is left out keeps its default.

    Raises:
      ValueError: the name or an option is unknown, or an option's value is refused by the factory.
    """
    factory = lookup(OBJECTIVES, name, "objective")
    accepted = inspect.signature(factory).parameters
    for option in options:
        lookup(accepted, option, f"option of objective {name!r}:")
    return factory(**options)
