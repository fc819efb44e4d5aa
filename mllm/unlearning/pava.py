"""Retain-free unlearning with visual anchors (PAVA 2026, from the paper's text)."""

import jax

from mllm.training.objective import Batch, Objective
from mllm.training.reductions import masked_total, mean
from mllm.unlearning.npo import pushed_below
from mllm.unlearning.roles import ANCHOR, ANCHORED, FORGET, role_tokens


def pava(beta: float = 0.1, anchor_weight: float = 3.0) -> Objective:
    """Push the answers to forget below the starting model, and keep what it says about pictures.

    ``NPO + anchor_weight * CE_anchor``: NPO is the "sequence" form of ``npo``. The anchors are
    questions about what the pictures of the people to forget show, such as hair and clothes, with
    the answers that the starting model gave before training; CE_anchor is the mean over their
    tokens. No row to retain is read. Metrics: ``forget_margin``, ``forget_nll``, ``anchor_nll``.

    Args:
      beta: of ``npo``, > 0. anchor_weight: > 0.

    Raises:
      ValueError: an option is not positive.
    """
    for name, value in (("beta", beta), ("anchor_weight", anchor_weight)):
        if value <= 0:
            raise ValueError(f"pava needs {name} > 0, got {value}")

    def loss(token_logprobs: jax.Array, batch: Batch):
        pushed, margin = pushed_below(token_logprobs, batch, beta)
        anchor_nll = masked_total(-token_logprobs, role_tokens(batch, ANCHOR))
        metrics = {
            "forget_margin": margin,
            "forget_nll": masked_total(-token_logprobs, role_tokens(batch, FORGET)),
            "anchor_nll": anchor_nll,
        }
        return mean(pushed) + anchor_weight * mean(anchor_nll), metrics

    return Objective(
        loss, rows="joint", roles=ANCHORED, primary=FORGET, reference="parent", anchor=ANCHOR
    )
