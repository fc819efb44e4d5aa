"""The attacks on weights by name: what each makes of a model's variables."""

from collections.abc import Callable
from functools import partial

from mllm.evaluation.stress.adapter import with_share
from mllm.evaluation.stress.rounding import rounded
from mllm.evaluation.stress.saving import saved_in
from mllm.ops.lora import merge_lora

GROUP = 64  # inputs that share a 4-bit scale, as in bitsandbytes
AS_SAVED = "as_saved"


def _of_params(change: Callable[[dict], dict], variables: dict) -> dict:
    """Change the weights that answer, the adapter merged."""
    return {"params": change(merge_lora(variables)["params"])}


# Each returns {"params"}, or None where it does not apply to the model.
WEIGHTS: dict[str, Callable[[dict], dict | None]] = {
    AS_SAVED: merge_lora,
    "rounded_8": partial(_of_params, partial(rounded, bits=8)),
    "rounded_4": partial(_of_params, partial(rounded, bits=4, group=GROUP)),
    "bfloat16": partial(_of_params, partial(saved_in, dtype="bfloat16")),
    "adapter_half": partial(with_share, share=0.5),
    "adapter_none": partial(with_share, share=0.0),
}
