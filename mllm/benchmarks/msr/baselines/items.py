"""The vectors of items: a table by number, and optionally a map of features.

N items, W width, D features of an item.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.benchmarks.msr.baselines.recommender import Shape
from mllm.models.layers import Dense

SPREAD = 0.02  # standard deviation of the first vectors


class Items(nn.Module):
    """Return the vectors float32[N, W] of all items.

    A cold item has never been an example. Its row of the table would be random, and its rank a
    matter of luck; so it takes the mean row of the items of the log: without features every cold
    item is an average item, for every user.
    """

    shape: Shape

    @nn.compact
    def __call__(self, given: dict[str, jax.Array]) -> jax.Array:
        size = (self.shape.items, self.shape.width)
        table = self.param("table", nn.initializers.normal(SPREAD), size)
        seen = given["seen"]
        table = jnp.where(seen[:, None] > 0, table, seen @ table / jnp.sum(seen))
        if not self.shape.features:
            return table
        return table + Dense(self.shape.width, gain=SPREAD, name="features")(given["features"])
