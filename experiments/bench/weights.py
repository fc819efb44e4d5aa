"""Random weights in the dtype of a configuration."""

from dataclasses import replace
from functools import partial

import jax
import optax
from jax.sharding import Mesh

from mllm.checkpoints.loaded import Loaded
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import make_on
from mllm.studies.start import described_model, fresh_model


def on_device(config, benchmark, mesh: Mesh) -> Loaded:
    """Return a model of random weights, made in their place and cast there."""
    described = described_model(config, benchmark)

    def init(key):
        made = described.model.init(described.config, key)
        return optax.tree.cast(made, described.config.dtype)

    return replace(described, variables=make_on(mesh, init, jax.random.key(config.seed)))


def on_host(config, benchmark) -> Loaded:
    """Return the same kind of model in the memory of the host, where another user of the device
    leaves it no room.
    """
    loaded = fresh_model(config, benchmark, make_mesh(devices=jax.devices("cpu")[:1]))
    cast = jax.jit(partial(optax.tree.cast, dtype=loaded.config.dtype))
    return replace(loaded, variables=cast(loaded.variables))
