"""The term that keeps what is to be retained, the same for every way to forget."""

from inspect import Parameter, Signature, signature

import jax

from mllm.training.objective import Loss, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.roles import FORGET, RETAIN, ROLES, role_tokens

TERMS = {"none": (), "nll": (), "kl": ("divergence",)}  # what each reads besides log-probabilities


def with_retain(
    forget: Loss,
    name: str,
    keep: str = "none",
    retain_weight: float = 1.0,
    *,
    sees_retain: bool = False,
    **fields,
) -> Objective:
    """Return the objective ``forget + retain_weight * term`` over the answers to retain.

    The term "nll" is their mean negative log-likelihood over all supervised tokens of the batch,
    "kl" the mean over these tokens of KL(reference || model), where the reference is the model that
    training starts from. Without a term no retain row is asked for. Metrics: those of ``forget``;
    ``forget_nll``; ``retain_nll`` and ``kl`` where they are known.

    Args:
      forget: the loss of what is to be forgotten. name: of the objective, for messages.
      keep: "none", "nll" or "kl". retain_weight: >= 0; 0 is "none".
      sees_retain: whether ``forget`` itself reads rows to retain.
      fields: of ``Objective``.

    Raises:
      ValueError: ``keep`` is unknown, or ``retain_weight`` is negative.
    """
    if keep not in TERMS:
        known = ", ".join(map(repr, TERMS))
        raise ValueError(f"{name}: keep is {keep!r}, expected one of {known}")
    if retain_weight < 0:
        raise ValueError(f"{name} needs retain_weight >= 0, got {retain_weight}")
    term = keep if retain_weight > 0 else "none"
    shown = sees_retain or term != "none"
    own = tuple(signature(forget).parameters)
    names = dict.fromkeys(("token_logprobs", *own, *TERMS[term], "batch"))

    def loss(**given: jax.Array):
        value, found = forget(**{one: given[one] for one in own})
        nll, batch = -given["token_logprobs"], given["batch"]
        metrics = {"forget_nll": masked_total(nll, role_tokens(batch, FORGET)), **found}
        kept = role_tokens(batch, RETAIN)
        if shown:
            metrics["retain_nll"] = masked_total(nll, kept)
        if term == "nll":
            value = value + retain_weight * mean(metrics["retain_nll"])
        if term == "kl":
            metrics["kl"] = masked_total(given["divergence"], kept)
            value = value + retain_weight * mean(metrics["kl"])
        return value, metrics

    loss.__signature__ = Signature([Parameter(one, Parameter.KEYWORD_ONLY) for one in names])
    rows = "joint" if shown else "primary"
    return Objective(loss, **{"rows": rows, "roles": ROLES, "primary": FORGET, **fields})
