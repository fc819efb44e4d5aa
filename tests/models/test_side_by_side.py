"""Maps that read the same states share one product of their low-rank updates."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.models.layers import Dense, side_by_side

WIDTH, SIZES, RANK = 64, (48, 32, 32), 4


class Together(nn.Module):
    dropout: float = 0.0

    def maps(self):
        return [Dense(n, lora_dropout=self.dropout, name=f"m{i}") for i, n in enumerate(SIZES)]

    @nn.compact
    def __call__(self, x):
        return jnp.concatenate(side_by_side(x, self.maps()), axis=-1)


class Apart(Together):
    @nn.compact
    def __call__(self, x):
        return jnp.concatenate([one(x) for one in self.maps()], axis=-1)


def draw(dtype):
    rng = np.random.default_rng(0)
    params, lora = {}, {}
    for number, size in enumerate(SIZES):
        params[f"m{number}"] = {"w": rng.normal(size=(WIDTH, size)) / 8}
        a, b = rng.normal(size=(WIDTH, RANK)) / 8, rng.normal(size=(RANK, size)) / 2
        lora[f"m{number}"] = {"a": a, "b": b}
    variables = jax.tree.map(
        lambda w: jnp.asarray(w, jnp.float32), {"params": params, "lora": lora}
    )
    return variables, jnp.asarray(rng.normal(size=(2, 40, WIDTH)), dtype)


def value_and_gradient(module, variables, x, **options):
    def total(lora, x):
        y = module.apply({**variables, "lora": lora}, x, **options).astype(jnp.float32)
        return jnp.sum(jnp.sin(y)), y

    (_, y), gradient = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(variables["lora"], x)
    return y, gradient


def products(module, variables, x, **options) -> int:
    call = jax.make_jaxpr(lambda v, x: value_and_gradient(module, v, x, **options))
    return str(call(variables, x)).count("dot_general[")


def distance(found, expected) -> float:
    flat = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(t)]) for t in (found, expected)
    ]
    return np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])


@pytest.mark.slow
def test_in_half_precision_they_equal_the_truth_as_closely_as_apart():
    variables, x = draw(jnp.bfloat16)
    truth = value_and_gradient(Apart(), variables, x.astype(jnp.float32))
    apart = value_and_gradient(Apart(), variables, x)
    together = value_and_gradient(Together(), variables, x)
    for found, other, expected in zip(together, apart, truth, strict=True):
        assert distance(found, expected) < max(1e-2, 1.1 * distance(other, expected))
    # Of three x @ a, three gradients of a and three of x, one each is left.
    saved = products(Apart(), variables, x) - products(Together(), variables, x)
    assert saved == 3 * (len(SIZES) - 1)


@pytest.mark.parametrize("dtype, dropout", [("float32", 0.0), ("bfloat16", 0.5)])
def test_in_float32_and_with_dropout_they_stay_apart(dtype, dropout):
    variables, x = draw(jnp.dtype(dtype))
    options = {"rngs": {"dropout": jax.random.key(0)}}
    apart = value_and_gradient(Apart(dropout), variables, x, **options)
    together = value_and_gradient(Together(dropout), variables, x, **options)
    jax.tree.map(np.testing.assert_array_equal, together, apart)
