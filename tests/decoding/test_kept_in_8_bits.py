"""Replies and scores with keys and values in 8 bits do not depend on what is read together.

A code may differ by a step where two programs round a number differently, so scores are compared up
to a small part of what 8 bits change.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.decoding.generate import generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.branching import lay_out_choices
from mllm.models import llava
from mllm.ops.kv import FORMS
from mllm.ops.quant import quantise
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import place, place_rows
from tests.toy import make_model

pytestmark = pytest.mark.thorough

NEW, EOS = 6, 2
RNG = np.random.default_rng(0)
SHARED = RNG.integers(4, 300, (2, 9)).astype(np.int32)
QUESTIONS = [RNG.integers(4, 300, n).tolist() for n in (1, 5, 3, 7, 2, 4, 6, 5)]
CHOICES = [[RNG.integers(4, 300, n).tolist() for n in (2, 4, 3)] for _ in QUESTIONS]


@pytest.fixture(scope="module")
def variables():
    # Larger than initial weights, so that greedy choices are clear.
    return jax.tree.map(lambda x: x * 3 if x.ndim > 1 else x, make_model().variables)


def config_of(form: str, window: int | None = None):
    config = make_model().config
    return replace(config, decoder=replace(config.decoder, kv_form=form, window=window))


def rows_of(questions) -> dict[str, np.ndarray]:
    tokens = np.zeros((len(questions), 16), np.int32)
    for row, ids in zip(tokens, questions, strict=True):
        row[: len(ids)] = ids
    return {"prompts": tokens, "lengths": np.asarray([len(ids) for ids in questions], np.int32)}


def shared_level(config, variables, shared=SHARED, mesh=None):
    batch = {
        "tokens": shared,
        "positions": np.broadcast_to(np.arange(shared.shape[1], dtype=np.int32), shared.shape),
        "segments": np.zeros_like(shared),
    }
    return prefill(llava, config, variables, place_rows(batch, mesh))[0]


def scores_of(config, variables, prefix, questions, choices, mesh=None):
    batch = place_rows(lay_out_choices(questions, choices), mesh)
    return np.asarray(score_choices(llava, config, variables, prefix, batch))


def answers(config, variables, prefix, questions, choices, mesh=None):
    """Return (replies i32[R, N], scores float[R, S])."""
    rows = place_rows(rows_of(questions), mesh)
    told = generate(llava, config, variables, prefix, **rows, max_new_tokens=NEW, ends=(EOS,))
    return np.asarray(told[0]), scores_of(config, variables, prefix, questions, choices, mesh)


@pytest.mark.slow
@pytest.mark.parametrize("form, window", [("int8", None), ("fp8", 6)])
def test_neither_batch_nor_prefix_nor_mesh_changes_an_answer(variables, form, window):
    config = config_of(form, window)
    variables = split_for_decoding(quantise(variables) if window else variables)
    prefix = shared_level(config, variables)
    kinds = {leaf.dtype for leaf in jax.tree.leaves(prefix.levels[0].layers)}
    assert kinds == {jnp.dtype(FORMS[form][0]), jnp.dtype(jnp.float32)}
    replies, scores = answers(config, variables, prefix, QUESTIONS, CHOICES)

    plain = config_of("", window)
    unchanged = shared_level(plain, variables)
    exact = scores_of(plain, variables, unchanged, QUESTIONS, CHOICES)
    change = np.abs(scores - exact).max()
    assert change > 0.1
    tolerance = change / 200

    for number in (1, 6):
        alone = shared_level(config, variables, SHARED[number // 4][None])
        one = slice(number, number + 1)
        found = answers(config, variables, alone, QUESTIONS[one], CHOICES[one])
        np.testing.assert_array_equal(found[0], replies[one])
        np.testing.assert_allclose(found[1], scores[one], atol=tolerance)

    whole = [[*SHARED[n // 4], *ids] for n, ids in enumerate(QUESTIONS)]
    found = answers(config, variables, None, whole, CHOICES)
    np.testing.assert_array_equal(found[0], replies)
    np.testing.assert_allclose(found[1], scores, atol=tolerance)

    if window is None:
        mesh = make_mesh(2, 1, 2, devices=jax.devices()[:4])
        spread = place(variables, mesh)
        prefix = shared_level(config, spread, mesh=mesh)
        kept = prefix.levels[0].layers[0]
        assert {kept[n].sharding.shard_shape(kept[n].shape)[2] for n in ("k", "v_scale")} == {1}
        found = answers(config, spread, prefix, QUESTIONS, CHOICES, mesh)
        np.testing.assert_array_equal(found[0], replies)
        np.testing.assert_allclose(found[1], scores, atol=tolerance)
