"""Choose what a training step keeps for its backward pass by the memory that is there."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import jax

from mllm.models.layers import AUTO, FASTEST_FIRST
from mllm.parallel.program import memory_of

MARGIN = 0.08  # share of a device's memory that the chosen step leaves free


@dataclass(frozen=True)
class Choice:
    """A policy, and what the compiler says that the step needs with it.

    Attributes:
      peak: bytes on a device; None if nothing was compiled because no other policy is left.
      memory: bytes of a device.
    """

    policy: str
    peak: int | None
    memory: int

    def __str__(self):
        needed = "" if self.peak is None else f" needs {self.peak / 1e9:.2f} GB"
        return f"remat {self.policy!r}{needed} of {self.memory / 1e9:.2f} GB a device"


def is_auto(config) -> bool:
    """Return whether the policy of some part of a model's configuration is left to ``choose``."""
    if not is_dataclass(config):
        return False
    return any(
        getattr(config, field.name) == AUTO
        if field.name == "remat"
        else is_auto(getattr(config, field.name))
        for field in fields(config)
    )


def resolved(config, policy: str):
    """Return the configuration with ``policy`` wherever it says "auto"."""
    changed: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name == "remat" and value == AUTO:
            changed["remat"] = policy
        elif is_dataclass(value):
            changed[field.name] = resolved(value, policy)
    return replace(config, **changed)


def choose(
    compile_with: Callable[[str], jax.stages.Compiled],
    memory: int,
    policies: Sequence[str] = FASTEST_FIRST,
) -> Choice:
    """Return the first policy whose step fits, by the memory of the compiled program.

    The last policy is taken where no other one fits, without a look at it.

    Args:
      compile_with: compiles the step with a policy. The program of the chosen one is compiled once
        where compiled programs are kept on disk.
      memory: bytes of a device.
      policies: from the fastest, which keeps most, to the slowest.
    """
    for policy in policies[:-1]:
        try:
            peak = memory_of(compile_with(policy))["peak"]
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            continue
        if peak <= (1 - MARGIN) * memory:
            return Choice(policy, peak, memory)
    return Choice(policies[-1], None, memory)


def memory_of_device(device: jax.Device) -> int:
    """Return the bytes that programs may use on a device; those of the host where it reports none,
    as a CPU does.
    """
    limit = (device.memory_stats() or {}).get("bytes_limit")
    return limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
