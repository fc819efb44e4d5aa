"""How much a model computes for an answer, measured on this machine."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from statistics import fmean, median

import jax
import numpy as np

from mllm.checkpoints.loaded import Loaded
from mllm.data.encoded import Encoded
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, read_level, reply
from mllm.evaluation.codec import codec_of
from mllm.evaluation.drawing import in_codes
from mllm.evaluation.request import Request, Rounds, Text
from mllm.evaluation.runner import with_system

PROMPTS, NEW_TOKENS, REPEATS = 16, 16, 3


def measure(loaded: Loaded, rounds: Rounds) -> dict[str, float | int]:
    """Return what answering costs.

    Prompts are read one after the other and together, and then continued together; programs are
    compiled before they are timed.

    Args:
      rounds: of a protocol; prompts of its first round are taken at even steps.

    Returns:
      parameters; parameter_bytes; image_tokens and prompt_tokens, the mean of a prompt; prefill_ms,
      the median time to read a prompt by itself; prefill_tokens_per_second and
      decode_tokens_per_second of all prompts together; peak_memory_bytes of the device since the
      process began, only where the device reports it.
    """
    prompts = _prompts(loaded, next(rounds))
    leaves = jax.tree.leaves(loaded.variables)
    longest = max(len(prompt.ids) for prompt in prompts)
    parts = [Part(prompt, 0, len(prompt.ids) - 1) for prompt in prompts]
    calls = Calls(loaded)
    alone = [_seconds(lambda part=part: _read(calls, [part], longest)) for part in parts]
    together = _seconds(lambda: _read(calls, parts, longest))
    prefix = read_level(calls, parts, most=longest)
    last = [prompt.ids[-1:] for prompt in prompts]
    asks = [Text(NEW_TOKENS)] * len(prompts)
    written = sum(len(ids) + ended for ids, ended, _ in reply(calls, last, prefix, asks))
    decoding = _seconds(lambda: reply(calls, last, prefix, asks))
    found = {
        "parameters": sum(leaf.size for leaf in leaves),
        "parameter_bytes": sum(leaf.nbytes for leaf in leaves),
        "image_tokens": fmean(prompt.media_tokens for prompt in prompts),
        "prompt_tokens": fmean(len(prompt.ids) for prompt in prompts),
        "prefill_ms": 1e3 * median(alone),
        "prefill_tokens_per_second": sum(len(prompt.ids) for prompt in prompts) / together,
        "decode_tokens_per_second": max(written, 1) / decoding,
    }
    stats = next(iter(leaves[0].devices())).memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        found["peak_memory_bytes"] = stats["peak_bytes_in_use"]
    return found


def _prompts(loaded: Loaded, requests: Sequence[Request]) -> list[Encoded]:
    """Return prompts of requests for a reply, at even steps."""
    asked = [request for request in requests if isinstance(request.ask, Text)] or requests
    step = max(1, len(asked) // PROMPTS)
    chosen = in_codes(list(islice(asked, 0, step * PROMPTS, step)), codec_of(loaded))
    return [
        loaded.processor.encode(with_system(request.turns, loaded.system_prompt), generate=True)
        for request in chosen
    ]


def _read(calls: Calls, parts: Sequence[Part], longest: int) -> None:
    jax.block_until_ready(read_level(calls, parts, most=longest).levels)


def _seconds(run: Callable[[], object]) -> float:
    """Return the median time of a few runs after one that compiles."""
    run()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return float(np.median(times))
