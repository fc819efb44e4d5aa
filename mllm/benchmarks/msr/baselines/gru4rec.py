"""GRU4Rec: a recurrent network over a history (Hidasi et al. 2016, arXiv:1511.06939).

One layer of gated recurrent units, whose state is compared with the vectors of items. It learns by
the same loss as SASRec here, so that the two differ in how they read a history alone.

R rows, T places, W width.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.benchmarks.msr.baselines.recommender import dropped
from mllm.benchmarks.msr.baselines.sequences import Network, recommender
from mllm.models.layers import Dense


class Unit(nn.Module):
    """One step of gated recurrent units (Cho et al. 2014), as cuDNN and PyTorch compute it."""

    @nn.compact
    def __call__(self, state: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the next state float32[R, W], twice.

        Args:
          state: float32[R, W]. x: float32[R, 3W], what the input gives to the reset gate, the
            update gate and the new state.
        """
        h = Dense(x.shape[-1], True, name="hidden")(state)
        (reset, update, new), (h_reset, h_update, h_new) = (
            jnp.split(a, 3, axis=-1) for a in (x, h)
        )
        reset, update = jax.nn.sigmoid(reset + h_reset), jax.nn.sigmoid(update + h_update)
        new = jnp.tanh(new + reset * h_new)
        state = (1 - update) * new + update * state
        return state, state


class Gru4Rec(Network):
    def setup_reader(self):
        self.input = Dense(3 * self.shape.width, True)
        self.unit = nn.scan(
            Unit, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1
        )()

    def read(self, x, segments, rate, key):
        before, after = (None, None) if key is None else jax.random.split(key)
        x = dropped(x * self.shape.width**0.5, rate, before)
        _, states = self.unit(jnp.zeros_like(x[:, 0]), self.input(x))
        return dropped(states, rate, after)


GRU4REC = recommender(Gru4Rec)
