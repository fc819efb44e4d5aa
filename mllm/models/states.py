"""The states between the layers of a decoder, to see what each layer knows.

B rows, T tokens, L layers, D width, F MLP width, V vocabulary.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from mllm.models.decoder import Block, Decoder
from mllm.models.layers import ACTIVATIONS
from mllm.models.media import place_all
from mllm.models.multimodal import Batch, Variables, split_layers
from mllm.ops.attention import causal
from mllm.ops.rope import rope_angles

GATED = ("gate", "up")  # the maps of an MLP to its hidden units
KEPT = "intermediates"  # flax's name of what modules are asked to keep


def layer_states(model, config, variables: Variables, batch: Batch) -> jax.Array:
    """Return float[L + 1, B, T, D]: the embeddings of a batch with the tokens of its media, then
    what each layer makes of them, before the final norm.

    Args:
      model: the functions of a family.
      batch: ``tokens``, ``positions``, ``segments`` i32[B, T] and, if it shows any, ``media`` (see
        ``mllm.models.multimodal``).
    """
    return jnp.stack(list(_each_state(model, config, variables, batch, config.decoder.layers)))


def states_after(model, config, variables: Variables, batch: Batch, layers: int) -> jax.Array:
    """Return float[B, T, D], what the first ``layers`` layers make of a batch, as ``layer_states``
    do; layers after them are not run, and nothing is dropped.

    Raises:
      ValueError: the decoder has no such layer.
    """
    most = config.decoder.layers
    if not 1 <= layers <= most:
        raise ValueError(f"layer is {layers}, but the decoder has layers 1 to {most}")
    *_, last = _each_state(model, config, variables, batch, layers)
    return last


def neurons_of_layers(model, config, variables: Variables, batch: Batch) -> Iterator[jax.Array]:
    """Yield float[B, T, F] of each layer, the hidden units of its MLP: gate, after its activation,
    times up.
    """
    shape, seen = config.decoder, []
    for _ in _each_state(model, config, variables, batch, shape.layers, seen):
        if seen:
            gate, up = (seen[-1][name]["__call__"][0] for name in GATED)
            seen.clear()
            yield ACTIVATIONS[shape.activation](gate) * up


def _each_state(
    model, config, variables: Variables, batch: Batch, layers: int, seen: list | None = None
) -> Iterator[jax.Array]:
    """Yield the embeddings, then the states after each of the first ``layers`` layers.

    Args:
      seen: is given what the modules ``GATED`` of each layer return, before its states come.
    """
    shape, positions = config.decoder, batch["positions"]
    keeping = {} if seen is None else {"capture_intermediates": _is_gated, "mutable": [KEPT]}
    media = model.encode_media(config, variables, batch.get("media", {}))
    x = place_all(_embed(config, variables, batch["tokens"]), media)
    structure = causal(positions, batch["segments"])
    angles = rope_angles(positions, shape.head_dim, shape.rope_theta, shape.rope_scaling)
    yield x
    for layer in split_layers(variables)["layers"][:layers]:
        made = Block(shape, parent=None).apply(layer, x, angles, structure, **keeping)
        if seen is not None:
            made, found = made
            seen.append(found[KEPT])
        x, _ = made
        yield x


def _is_gated(module, method: str) -> bool:
    return module.name in GATED and method == "__call__"


def embedding_table(config, variables: Variables) -> jax.Array:
    """Return float[V, D], the embedding of each token."""
    return _embed(config, variables, jnp.arange(config.decoder.vocab_size))


def _embed(config, variables: Variables, tokens: jax.Array) -> jax.Array:
    own = {"params": variables["params"]["decoder"]}
    return Decoder(config.decoder).apply(own, tokens, config.dtype, method="embed")
