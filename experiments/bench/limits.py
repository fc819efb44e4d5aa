"""The most that a device could do of a piece of work, from what it was measured to do: products of
large matrices and copies.

N is the number of the decoder's parameters. A step of LoRA takes 4 N floating-point operations per
token (forward, and the gradient of states but not of weights; recomputation is not counted), and
reading takes 2 N. A decoding step copies the decoder's weights and the keys and values of all rows.
The image tower, attention scores and everything else are left out, so a limit is never too low.
"""

from dataclasses import dataclass

TRAINING, READING = 4, 2  # operations per parameter and token


@dataclass(frozen=True)
class Machine:
    """What the device does at best: floating-point operations and copied bytes per second."""

    device: str
    flops: float
    bytes: float


def products(machine: Machine, parameters: int, tokens: float, each: int) -> float:
    """Return the seconds of the products of ``tokens`` tokens, ``each`` N operations for one."""
    return each * parameters * tokens / machine.flops


def cache_bytes(layers: int, kv_heads: int, each: int) -> int:
    """Return the bytes of the keys and values of one token, ``each`` those of one head's key."""
    return 2 * layers * kv_heads * each


def decoding_step(machine: Machine, weights: int, cache: float) -> float:
    """Return the seconds of copying the bytes of all weights and all keys and values."""
    return (weights + cache) / machine.bytes


def decoding(
    machine: Machine,
    parameters: int,
    weights: int,
    per_token: int,
    *,
    rows: int,
    prompt: int,
    new: int,
) -> tuple[float, float]:
    """Return the seconds of (reading the prompts, writing all replies) of rows that share nothing.

    Args:
      weights: bytes of the decoder. per_token: bytes of a token's keys and values.
      prompt, new: tokens of a row that are read, and that are written.
    """
    cache = rows * (prompt + new / 2) * per_token
    read = products(machine, parameters, rows * prompt, READING)
    return read, new * decoding_step(machine, weights, cache)
