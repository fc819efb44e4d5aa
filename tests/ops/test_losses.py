"""Chunked log-probabilities and divergences, and their gradients, against dense SciPy ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from mllm.ops.losses import token_kl, token_logprobs, token_measures

POSITIONS, WIDTH, VOCABULARY = 11, 8, 37


def draw(seed):
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(POSITIONS, WIDTH)).astype(np.float32)
    head = rng.normal(size=(WIDTH, VOCABULARY)).astype(np.float32)
    weights = rng.normal(size=POSITIONS).astype(np.float32)
    return hidden, head, rng.integers(0, VOCABULARY, POSITIONS), weights


# One chunk, chunks that divide the positions, chunks that leave a remainder.
@pytest.mark.parametrize("chunk", [64, 11, 1, 4])
def test_token_logprobs_and_gradients(chunk):
    hidden, head, targets, weights = draw(0)

    def loss(hidden, head):
        values = token_logprobs(hidden, head, jnp.asarray(targets), chunk=chunk)
        return jnp.sum(values * weights), values

    gradient = jax.grad(loss, argnums=(0, 1), has_aux=True)
    (to_hidden, to_head), values = jax.jit(gradient)(hidden, head)
    logits = hidden.astype(np.float64) @ head
    expected = log_softmax(logits, axis=-1)[np.arange(POSITIONS), targets]
    np.testing.assert_allclose(values, expected, atol=1e-5)
    # d log p(target) / d logits = onehot - p
    to_logits = (np.eye(VOCABULARY)[targets] - softmax(logits, axis=-1)) * weights[:, None]
    np.testing.assert_allclose(to_hidden, to_logits @ head.T, atol=1e-4)
    np.testing.assert_allclose(to_head, hidden.T @ to_logits, atol=1e-4)


@pytest.mark.parametrize("chunk", [64, 4])
def test_token_kl_and_gradient(chunk):
    hidden_p, head_p, _, weights = draw(1)
    hidden_q, head_q, _, _ = draw(2)

    def loss(hidden_q):
        values = token_kl(hidden_p, head_p, hidden_q, head_q, chunk=chunk)
        return jnp.sum(values * weights), values

    to_hidden, values = jax.jit(jax.grad(loss, has_aux=True))(hidden_q)
    log_p = log_softmax(hidden_p.astype(np.float64) @ head_p, axis=-1)
    log_q = log_softmax(hidden_q.astype(np.float64) @ head_q, axis=-1)
    expected = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert (expected > 0).all()
    # d KL(p || q) / d logits of q = q - p
    to_logits = (np.exp(log_q) - np.exp(log_p)) * weights[:, None]
    np.testing.assert_allclose(to_hidden, to_logits @ head_q.T, atol=1e-4)


@pytest.mark.parametrize("chunk", [3, 64])
def test_token_measures(chunk):
    """Sharp and flat distributions, against float64."""
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(7, 4)) * np.array([0, 0.1, 1, 2, 5, 20, 60])[:, None]
    head, targets = generator.normal(size=(4, 11)), generator.integers(0, 11, 7)
    hidden, head = hidden.astype(np.float32), head.astype(np.float32)
    targets[-1] = (hidden[-1] @ head).argmax()
    found = token_measures(hidden, head, jnp.asarray(targets), chunk=chunk)
    logits = hidden.astype(np.float64) @ head.astype(np.float64)
    logprobs = log_softmax(logits, axis=-1)
    p, mean = np.exp(logprobs), (np.exp(logprobs) * logprobs).sum(axis=-1)
    expected = [
        logprobs[np.arange(7), targets],
        logits.argmax(axis=-1) == targets,
        mean,
        (p * (logprobs - mean[:, None]) ** 2).sum(axis=-1),
    ]
    np.testing.assert_allclose(found, np.stack(expected, axis=-1), rtol=1e-4, atol=1e-5)


def test_divergence_from_itself_is_zero():
    hidden, head, _, _ = draw(3)
    np.testing.assert_allclose(token_kl(hidden, head, hidden, head, chunk=4), 0, atol=1e-6)


def test_bfloat16_states_give_float32_log_probabilities():
    hidden, head, targets, _ = draw(4)
    hidden = jnp.asarray(hidden, jnp.bfloat16)
    values = token_logprobs(hidden, jnp.asarray(head), jnp.asarray(targets))
    assert values.dtype == jnp.float32
    logits = np.asarray(hidden, np.float64) @ np.asarray(
        jnp.asarray(head, jnp.bfloat16), np.float64
    )
    expected = log_softmax(logits, axis=-1)[np.arange(POSITIONS), targets]
    np.testing.assert_allclose(values, expected, atol=1e-4)
