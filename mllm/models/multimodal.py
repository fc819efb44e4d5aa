"""What all families share: a tower turns images into tokens, which take the places of a run of
image tokens, and a decoder reads them all.

A family is a module of flax with a config (fields ``decoder``, ``vision``, ``dtype``, number
``image_tokens``) and one method ``encode_pixels``; ``functions_of`` makes of it the five pure
functions of (config, variables, batch) that everything outside ``mllm.models`` calls, where
``variables`` is {"params": ...} or {"params": ..., "lora": ...} with stacked decoder layers; or,
where keys and values are kept, what ``split_layers`` makes of it.

B batch, I images a row, H and W pixels, N tokens an image, T tokens, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.decoder import Decoder, Level
from mllm.models.navit import position_ids, real_patches
from mllm.ops.attention import Structure, causal

Variables = dict[str, dict]
Batch = dict[str, jax.Array]


class Multimodal(nn.Module):
    """The base of a family: ``setup_media`` declares what ``encode_pixels`` uses."""

    config: object

    def setup(self):
        self.decoder = Decoder(self.config.decoder)
        if self.config.vision is not None:
            self.setup_media()

    def setup_media(self):
        raise NotImplementedError(f"{type(self).__name__} declares no tower")

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        """Normalised pixels float[B, H, W, 3] with extents i32[B, 2] -> tokens float[B, N, D]."""
        raise NotImplementedError(f"{type(self).__name__} encodes no images")

    def embed(self, tokens, media, image_slots):
        """float[B, T, D]: embedded tokens with media in their places."""
        x = self.decoder.embed(tokens, self.config.dtype)
        return x if media is None else place_media(x, media, image_slots)

    def hidden(self, tokens, structure, media, image_slots, **options):
        return self.decoder(self.embed(tokens, media, image_slots), structure, **options)

    def head(self):
        return self.decoder.head()

    def __call__(self, tokens, structure, pixels=None, image_slots=None):
        media = None if pixels is None else self.encode_pixels(pixels, None)[:, None]
        return self.hidden(tokens, structure, media, image_slots)


def place_media(x: jax.Array, media: jax.Array, image_slots: jax.Array) -> jax.Array:
    """Write media float[B, I, N, D] over the embeddings float[B, T, D] from slots i32[B, I] on;
    slot -1 writes nothing.
    """
    batch, _, count, width = media.shape
    index = image_slots[:, :, None] + jnp.arange(count)
    index = jnp.where(image_slots[:, :, None] < 0, x.shape[1], index).reshape(batch, -1)
    rows = jnp.arange(batch)[:, None]
    return x.at[rows, index].set(media.reshape(batch, -1, width).astype(x.dtype), mode="drop")


def normalise(config, images: jax.Array) -> jax.Array:
    """u8[..., 3] images -> float32 pixels with the tower's mean and standard deviation."""
    mean, std = (jnp.asarray(x, jnp.float32) for x in (config.vision.mean, config.vision.std))
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def _prepare(
    config, images: jax.Array, extents: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """(normalised pixels [B * I, H, W, 3] in the dtype of activations, extents [B * I, 2])."""
    flat = images.reshape(-1, *images.shape[2:])
    extents = None if extents is None else extents.reshape(-1, 2)
    if images.dtype != jnp.uint8:
        return flat.astype(config.dtype), extents
    pixels = normalise(config, flat)
    if extents is not None:  # padding is 0 behind normalisation, as published
        rows, columns = (jnp.arange(n) < extents[:, i, None] for i, n in enumerate(flat.shape[1:3]))
        pixels = jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], pixels, 0)
    return pixels.astype(config.dtype), extents


class Functions(NamedTuple):
    """The functions of a family; see ``functions_of``."""

    init: Callable
    abstract: Callable
    encode_media: Callable
    hidden: Callable
    head: Callable
    stages: Callable


def functions_of(family: type[Multimodal]) -> Functions:
    """The functions by which a family is used; they differ in nothing but the module."""

    @partial(jax.jit, static_argnums=0)
    def init(config, key: jax.Array) -> Variables:
        """Random float32 parameters, {"params": tree}."""
        tokens = jnp.zeros((1, max(config.image_tokens, 1)), jnp.int32)
        arguments = tokens, causal(tokens, tokens)
        if config.vision is not None:
            size = config.vision.image_size
            arguments += jnp.zeros((1, size, size, 3)), jnp.zeros((1, 1), jnp.int32)
        return {"params": family(config).init(key, *arguments)["params"]}

    def abstract(config) -> Variables:
        """The tree of ``init`` as ShapeDtypeStructs: shapes for restoring, sharding and
        ahead-of-time compilation.
        """
        return jax.eval_shape(lambda: init(config, jax.random.key(0)))

    def encode_media(
        config,
        variables: Variables,
        images: jax.Array,
        extents: jax.Array | None = None,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """Images u8[B, I, H, W, 3], or normalised pixels of a float dtype -> projected tokens
        float[B, I, N, D].

        Args:
          extents: i32[B, I, 2], height and width of what is image; None takes all of it.
          key: of dropout on the inputs of low-rank updates; None drops nothing.
        """
        pixels, real = _prepare(config, images, extents)
        rngs = _rngs(key)
        media = family(config).apply(
            _collections(variables), pixels, real, method="encode_pixels", rngs=rngs
        )
        return media.reshape(*images.shape[:2], *media.shape[1:])

    def hidden(
        config,
        variables: Variables,
        batch: Batch,
        *,
        media: jax.Array | None = None,
        structure: Structure | None = None,
        above: Sequence[Level] = (),
        cache: Level | None = None,
        write_at: jax.Array | int = 0,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Level | None]:
        """Final states float[B, T, D] of a batch; and, of variables with split layers, its keys and
        values (see ``Decoder``).

        Args:
          batch: ``tokens``, ``positions``, ``segments`` i32[B, T]; with images also ``images``
            u8[B, I, H, W, 3], ``image_slots`` i32[B, I], the index of each image's first token
            (-1: no image), and for images of several sizes ``image_extents`` i32[B, I, 2].
          media: projected tokens [B, I, N, D] in place of ``images``; so is ``media`` of the batch.
          structure: defaults to the causal one of ``positions`` and ``segments``.
          above, cache, write_at: of ``Decoder``; they need split layers.
          key: of dropout on the inputs of low-rank updates; None drops nothing.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        media = batch.get("media") if media is None else media
        if media is None and config.vision is not None and "images" in batch:
            extents = batch.get("image_extents")
            media = encode_media(config, variables, batch["images"], extents, keys[0])
        if structure is None:
            one = "answers" in batch and batch["answers"].shape[1] == 1
            structure = causal(batch["positions"], batch["segments"], plain=one)
        arguments = batch["tokens"], structure, media, batch.get("image_slots")
        options = {"above": above, "cache": cache, "write_at": write_at}
        return family(config).apply(
            _collections(variables),
            *arguments,
            layers=variables.get("layers"),
            **options,
            method="hidden",
            rngs=_rngs(keys[1]),
        )

    def head(config, variables: Variables) -> jax.Array:
        """float[D, V], the map from final states to logits."""
        return family(config).apply(_collections(variables), method="head")

    def stages(config, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """What a batch with images passes through, in order, to see where implementations part.

        Returns:
          "pixels" float[B * I, H, W, 3], "patches" float[B * I, n, D], "positions" i32[B * I, n] of
          a ragged tower, "features" float[B * I, n, D], "image tokens" float[B * I, N, D],
          "embeddings" float[B, T, D], "logits" float32[B, T, V].
        """
        pixels, extents = _prepare(config, batch["images"], batch.get("image_extents"))
        media, seen = family(config).apply(
            variables,
            pixels,
            extents,
            method="encode_pixels",
            capture_intermediates=True,
            mutable=["intermediates"],
        )
        vision = seen["intermediates"]["vision"]
        found = {"pixels": pixels, "patches": vision["patch"]["__call__"][0]}
        if config.vision.ragged:
            real = real_patches(config.vision, pixels.shape, extents)
            found["positions"] = position_ids(config.vision, real)
        placed = media.reshape(*batch["images"].shape[:2], *media.shape[1:])
        embed = batch["tokens"], placed, batch["image_slots"]
        states, _ = hidden(config, variables, batch, media=placed)
        return {
            **found,
            "features": vision["__call__"][0],
            "image tokens": media,
            "embeddings": family(config).apply(variables, *embed, method="embed"),
            "logits": jnp.dot(states, head(config, variables), preferred_element_type=jnp.float32),
        }

    return Functions(init, abstract, encode_media, hidden, head, stages)


def split_layers(variables: Variables, cut: Callable = tuple) -> Variables:
    """The same model with each decoder layer by itself, {..., "layers": one {"params", "lora"?} a
    layer}: a decoding loop that reached into the stack would copy a layer out of it every time.
    ``cut`` makes a stacked leaf [L, ...] into its L layers.
    """
    if "layers" in variables:
        return variables
    rest, stacks = {}, {}
    for name, tree in variables.items():
        inner = dict(tree.get("decoder", {}))
        if "layers" in inner:
            stacks[name] = inner.pop("layers")
        rest[name] = {**tree, "decoder": inner}
    leaves, structure = jax.tree.flatten(stacks)
    layers = zip(*map(cut, leaves), strict=True)
    return {**rest, "layers": tuple(jax.tree.unflatten(structure, layer) for layer in layers)}


def _collections(variables: Variables) -> Variables:
    """What flax is to see: the layers are handed over beside it."""
    return {name: tree for name, tree in variables.items() if name != "layers"}


def _rngs(key: jax.Array | None) -> dict[str, jax.Array]:
    return {} if key is None else {"dropout": key}
