"""Log-probabilities and divergences from hidden states, with the [N, V] logits computed in chunks.

N positions, D width, V vocabulary.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp


def token_logprobs(
    hidden: jax.Array, head: jax.Array, targets: jax.Array, *, chunk: int = 1024
) -> jax.Array:
    """Compute the log-probability of each target token.

    Args:
      hidden: float[N, D], the states that predict the targets.
      head: float[D, V].
      targets: i32[N].
      chunk: positions whose logits are in memory at once; the backward pass recomputes them.

    Returns:
      float32[N].
    """

    def chosen(hidden, targets):
        logits = _logits(hidden, head)
        picked = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
        return picked - jax.nn.logsumexp(logits, axis=-1)

    return _in_chunks(chosen, (hidden, targets), chunk)


def token_measures(
    hidden: jax.Array, head: jax.Array, targets: jax.Array, *, chunk: int = 1024
) -> jax.Array:
    """Compute what the next-token distributions p say of target tokens.

    Arguments are those of ``token_logprobs``.

    Returns:
      float32[N, 4]: log p of the target, whether it is the likeliest token (1 or 0; of equal logits
      the first one is), and mean and variance of log p under p.
    """

    def measured(hidden, targets):
        logits = _logits(hidden, head)
        logprobs = jax.nn.log_softmax(logits)
        chosen = jnp.take_along_axis(logprobs, targets[:, None], axis=1)[:, 0]
        mean = jnp.sum(jnp.exp(logprobs) * logprobs, axis=-1)
        # About the mean: the difference of two large sums would lose the variance of a sharp p.
        variance = jnp.sum(jnp.exp(logprobs) * (logprobs - mean[:, None]) ** 2, axis=-1)
        top = (jnp.argmax(logits, axis=-1) == targets).astype(jnp.float32)
        return jnp.stack([chosen, top, mean, variance], axis=-1)

    return _in_chunks(measured, (hidden, targets), chunk)


def token_kl(
    hidden_p: jax.Array,
    head_p: jax.Array,
    hidden_q: jax.Array,
    head_q: jax.Array,
    *,
    chunk: int = 1024,
) -> jax.Array:
    """Compute KL(p || q), float32[N], between the next-token distributions of two models.

    All states are float[N, D].
    """

    def divergence(hidden_p, hidden_q):
        log_p = jax.nn.log_softmax(_logits(hidden_p, head_p))
        log_q = jax.nn.log_softmax(_logits(hidden_q, head_q))
        return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)

    return _in_chunks(divergence, (hidden_p, hidden_q), chunk)


def token_values(
    function: Callable[..., jax.Array],
    inputs: Mapping[str, jax.Array],
    heads: Mapping[str, jax.Array],
    *,
    chunk: int = 1024,
) -> jax.Array:
    """Compute a value of each token, float32[N].

    Args:
      function: takes the names of ``inputs`` as keywords, and returns float32[n] for n positions.
      inputs: arrays [N, ...] by name.
      heads: float[D, V] of those inputs that are states float[N, D] and of which the function is
        given the logits float32[n, V].
      chunk: as in ``token_logprobs``.
    """
    names = tuple(inputs)

    def value(*arrays):
        given = dict(zip(names, arrays, strict=True))
        given.update({name: _logits(given[name], head) for name, head in heads.items()})
        return function(**given)

    return _in_chunks(value, tuple(inputs[name] for name in names), chunk)


def gather_states(states: jax.Array, sources: jax.Array) -> jax.Array:
    """Return the states float[B * M, D] at places ``sources`` i32[B, M] of float[B, T, D]."""
    chosen = jnp.take_along_axis(states, sources[:, :, None], axis=1)
    return chosen.reshape(-1, states.shape[-1])


def supervised_logprobs(states: jax.Array, head: jax.Array, batch: dict) -> jax.Array:
    """Compute the log-probability of each supervised token of packed rows.

    Args:
      states: float[B * M, D], what ``gather_states`` returns for ``batch["sources"]``.
      head: float[D, V].
      batch: ``tokens`` i32[B, T]; ``targets`` i32[B, M], places of the target tokens, T for none.

    Returns:
      float32[B, M]; meaningless where there is no target.
    """
    wanted = wanted_tokens(batch)
    return token_logprobs(states, head, wanted).reshape(batch["targets"].shape)


def wanted_tokens(batch: dict) -> jax.Array:
    """Return i32[B * M], the supervised tokens of packed rows; any token where there is none."""
    targets = jnp.minimum(batch["targets"], batch["tokens"].shape[1] - 1)
    return jnp.take_along_axis(batch["tokens"], targets, axis=1).reshape(-1)


def _logits(hidden: jax.Array, head: jax.Array) -> jax.Array:
    return jnp.dot(hidden, head.astype(hidden.dtype), preferred_element_type=jnp.float32)


def _in_chunks(function: Callable, arrays: tuple[jax.Array, ...], chunk: int) -> jax.Array:
    count = arrays[0].shape[0]
    if count <= chunk:
        return function(*arrays)
    chunks = -(-count // chunk)
    padded = [jnp.pad(a, [(0, chunks * chunk - count)] + [(0, 0)] * (a.ndim - 1)) for a in arrays]
    folded = [a.reshape(chunks, chunk, *a.shape[1:]) for a in padded]
    _, out = jax.lax.scan(lambda _, x: (None, jax.checkpoint(function)(*x)), None, folded)
    return out.reshape(-1, *out.shape[2:])[:count]
