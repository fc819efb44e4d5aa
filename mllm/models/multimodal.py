"""What all families share: encoders turn media into tokens, which take the places of runs of media
tokens, and a decoder reads them all.

A family is a flax module with a config (fields ``decoder``, ``vision``, ``dtype``, number
``image_tokens``) and the method ``encode``, or, if it is ``instructed``, ``look`` and ``read``:
what it makes of a picture then depends on the instruction too. ``functions_of`` derives from it the
pure functions of (config, variables, batch) that everything outside ``mllm.models`` calls.
``variables`` is {"params": ...} or {"params": ..., "lora": ...} with stacked decoder layers, or
what ``split_layers`` returns if keys and values are to be kept.

The media of a batch are {kind: {"values" or "tokens", "slots", "lengths", "extents"}}:
  values   u8[B, I, H, W, 3] images, normalised here, or float pixels that are normalised already
  tokens   float[B, I, N, D] instead of values, if an encoder ran before (``encode_media``)
  features instead of values, what an encoder makes of a medium before anything that trains after
           it (``look_media``): of an instructed family float[B, I, F], what it sees of a picture
           under any instruction; of sounds float[B, I, N, W], before the map to the decoder
  instructions  i32[B, I, S], of an instructed family: token ids of the text under which a picture
           is read, -1 for padding
  slots    i32[B, I], index of the first token of each medium, -1 for none
  lengths  i32[B, I], number of tokens of each, at most N; without it N
  extents  i32[B, I, 2], real height and width of each image; without it H and W
  masks    i32[B, I, 2, K, 2], spans of frames and of bins of a sound that are hidden from its
           encoder (``mllm.ops.mel.mask_spans``); without it none
  offsets  i32[B, I, N] instead of lengths, where each token of a medium stands, counted from its
           slot, -1 for nowhere; without it they follow each other

B rows, I media of a kind in a row, H and W pixels, N tokens of a medium, T tokens of a row, D
width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from mllm.models.decoder import Decoder, Level
from mllm.models.media import place_all, prepare
from mllm.models.navit import position_ids, real_patches
from mllm.ops.attention import Structure, causal

Variables = dict[str, dict]
Media = dict[str, dict[str, jax.Array]]
Batch = dict[str, jax.Array | Media]


class Multimodal(nn.Module):
    """The base of a family: ``setup_media`` declares what ``encode_pixels`` uses."""

    config: object
    ignored: ClassVar[frozenset[str]] = frozenset()  # kinds of media that it does not read
    instructed: ClassVar[bool] = False  # whether what it makes of a medium depends on a text

    def setup(self):
        self.decoder = Decoder(self.config.decoder)
        if self.config.vision is not None:
            self.setup_media()

    def setup_media(self):
        raise NotImplementedError(f"{type(self).__name__} declares no tower")

    def encode_pixels(self, pixels: jax.Array, extents: jax.Array | None) -> jax.Array:
        """Encode normalised pixels float[B, H, W, 3], of extents i32[B, 2], to float[B, N, D]."""
        raise NotImplementedError(f"{type(self).__name__} encodes no images")

    def parts(self, encoded: jax.Array) -> dict[str, jax.Array]:
        """Return what ``encode_pixels`` returned by the names of its parts, to compare them."""
        return {"image tokens": encoded}

    def encode(self, kind: str, values: jax.Array, extents: jax.Array | None) -> jax.Array:
        """Encode media of one kind, [B, ...] -> tokens float[B, N, D].

        Raises:
          ValueError: the family does not encode media of that kind.
        """
        self.require_images(kind)
        pixels, extents = prepare(self.config, values, extents)
        return self.encode_pixels(pixels, extents)

    def look(self, kind: str, values: jax.Array, extents: jax.Array | None) -> jax.Array:
        """Return what an instructed family sees of media, [B, ...] -> features float[B, F].

        Raises:
          ValueError: the family does not encode media of that kind.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no features of media of kind {kind!r}"
        )

    def project(self, kind: str, features: jax.Array) -> jax.Array:
        """Return the tokens float[B, N, D] of features float[B, N, W] that need no instruction."""
        raise NotImplementedError(
            f"{type(self).__name__} has no features of media of kind {kind!r}"
        )

    def read(self, features: jax.Array, instructions: jax.Array) -> tuple[jax.Array, Any]:
        """Read features float[B, F] under instructions i32[B, S].

        Returns:
          (tokens float[B, N, D], what else is known about the reading, with float32[B, L, E]
          ``gates``).
        """
        raise NotImplementedError(f"{type(self).__name__} reads no instructions")

    def require_images(self, kind: str) -> None:
        """Raise ValueError unless media of that kind are images and the model sees."""
        if kind != "image" or self.config.vision is None:
            taken = "text" if self.config.vision is None else "text and images"
            raise ValueError(
                f"{type(self).__name__} was given media of kind {kind!r}, but takes {taken} only"
            )

    def embed(self, tokens: jax.Array, media: Media) -> jax.Array:
        """Return float[B, T, D], the embedded tokens with the tokens of media in their places."""
        return place_all(self.decoder.embed(tokens, self.config.dtype), media)

    def hidden(self, tokens, structure, media, **options):
        return self.decoder(self.embed(tokens, media), structure, **options)

    def head(self):
        return self.decoder.head()

    def __call__(self, tokens, structure, pixels=None, slots=None):
        if pixels is None:
            return self.hidden(tokens, structure, {})
        media = self.encode_pixels(pixels, None)[:, None]
        return self.hidden(tokens, structure, {"image": {"tokens": media, "slots": slots}})


class Functions(NamedTuple):
    """The functions of a family; see ``functions_of``."""

    init: Callable
    abstract: Callable
    look_media: Callable
    encode_media: Callable
    hidden: Callable
    head: Callable
    stages: Callable
    instructed: bool


def functions_of(family: type[Multimodal]) -> Functions:
    """Return the functions by which a family is used; families differ only in the module."""

    @partial(jax.jit, static_argnums=0)
    def init(config, key: jax.Array) -> Variables:
        """Draw random float32 parameters, {"params": tree}."""
        tokens = jnp.zeros((1, max(config.image_tokens, 1)), jnp.int32)
        arguments = tokens, causal(tokens, tokens)
        if config.vision is not None:
            size = config.vision.image_size
            arguments += jnp.zeros((1, size, size, 3)), jnp.zeros((1, 1), jnp.int32)
        return {"params": family(config).init(key, *arguments)["params"]}

    def abstract(config) -> Variables:
        """Return the tree of ``init`` as ShapeDtypeStructs: shapes for restoring, sharding and
        ahead-of-time compilation.
        """
        return jax.eval_shape(lambda: init(config, jax.random.key(0)))

    def look_media(
        config,
        variables: Variables,
        media: Media,
        key: jax.Array | None = None,
        features: bool = family.instructed,
    ) -> Media:
        """Encode what needs no instruction: ``values`` become ``features``, or ``tokens`` as in
        ``encode_media``.

        Args, Raises: of ``encode_media``. Kinds that hold features or tokens are kept as they are.
          features: which of the two; of an instructed family always features.
        """
        seen = {}
        for number, kind in enumerate(sorted(media.keys() - family.ignored)):
            found = dict(media[kind])
            if "values" in found:
                values, extents = found.pop("values"), found.pop("extents", None)
                own = key if key is None or not number else jax.random.fold_in(key, number)
                arguments = kind, values, extents
                if family.instructed:
                    arguments = kind, *_flat(values, extents)
                if "masks" in found:
                    arguments += (found.pop("masks"),)
                made = family(config).apply(
                    _collections(variables),
                    *arguments,
                    method="look" if features else "encode",
                    rngs=_rngs(own),
                )
                name = "features" if features else "tokens"
                found[name] = made.reshape(*values.shape[:2], *made.shape[1:])
            seen[kind] = found
        return seen

    def encode_media(
        config,
        variables: Variables,
        media: Media,
        key: jax.Array | None = None,
    ) -> Media:
        """Encode the media of a batch: ``values`` of each kind become ``tokens`` float[B, I, N, D].

        Args:
          media: see the module. Kinds that hold tokens already are kept as they are. Kinds that the
            family ignores are left out, so their places keep the embedding of the media token.
          key: of dropout on the inputs of low-rank updates; None drops nothing.

        Returns:
          The media; those of an instructed family also hold ``gates`` float32[B, I, L, E], the
          weights of its E encoders in its L layers.

        Raises:
          ValueError: the family does not encode media of some kind, or the instruction is missing
            under which an instructed one is to read them.
        """
        seen = look_media(config, variables, media, key)
        return {kind: _read(config, variables, kind, found, key) for kind, found in seen.items()}

    def _read(config, variables: Variables, kind: str, found: dict[str, jax.Array], key) -> dict:
        """Make tokens of the features of media, if there are any, under their instructions."""
        if "features" not in found:
            return found
        found = dict(found)
        if not family.instructed:
            features = found.pop("features")
            arguments = kind, *_flat(features)
            made = family(config).apply(_collections(variables), *arguments, method="project")
            found["tokens"] = made.reshape(*features.shape[:2], *made.shape[1:])
            return found
        if "instructions" not in found:
            raise ValueError(
                f"{family.__name__} reads each picture under an instruction: give media the key "
                "'instructions', i32[B, I, S] token ids with -1 for padding"
            )
        features, instructions = found.pop("features"), found.pop("instructions")
        tokens, read = family(config).apply(
            _collections(variables),
            *_flat(features, instructions),
            method="read",
            rngs=_rngs(key),
        )
        lead = features.shape[:2]
        found["tokens"] = tokens.reshape(*lead, *tokens.shape[1:])
        found["gates"] = read.gates.reshape(*lead, *read.gates.shape[1:])
        return found

    def hidden(
        config,
        variables: Variables,
        batch: Batch,
        *,
        structure: Structure | None = None,
        above: Sequence[Level] = (),
        cache: Level | None = None,
        write_at: jax.Array | int = 0,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Level | None]:
        """Return the final states float[B, T, D] of a batch and, if the layers of ``variables`` are
        split, their keys and values (see ``Decoder``).

        Args:
          batch: ``tokens``, ``positions``, ``segments`` i32[B, T] and, if it shows any, ``media``
            (see the module).
          structure: defaults to the causal one of ``positions`` and ``segments``.
          above, cache, write_at: of ``Decoder``; they need split layers.
          key: of dropout on the inputs of low-rank updates; None drops nothing.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        media = encode_media(config, variables, batch.get("media", {}), keys[0])
        if structure is None:
            one = "answers" in batch and batch["answers"].shape[1] == 1
            structure = causal(batch["positions"], batch["segments"], plain=one)
        arguments = batch["tokens"], structure, media
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
        """Return float[D, V], the map from final states to logits."""
        return family(config).apply(_collections(variables), method="head")

    def stages(config, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Return the intermediate results of a batch with images, in order, to find where two
        implementations differ.

        Returns:
          "pixels" float[B * I, H, W, 3], "patches" float[B * I, n, D], "positions" i32[B * I, n] of
          a ragged tower, "features" float[B * I, n, D], "image tokens" float[B * I, N, D] and what
          else ``Multimodal.parts`` names, "embeddings" float[B, T, D], "logits" float32[B, T, V].
        """
        images = batch["media"]["image"]
        if family.instructed:
            return _read_stages(config, variables, batch)
        pixels, extents = prepare(config, images["values"], images.get("extents"))
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
        tokens = media.reshape(*images["values"].shape[:2], *media.shape[1:])
        where = {name: images[name] for name in ("slots", "offsets") if name in images}
        placed = {"image": {"tokens": tokens, **where}}
        embed = batch["tokens"], placed
        states, _ = hidden(config, variables, {**batch, "media": placed})
        return {
            **found,
            "features": vision["__call__"][0],
            **family(config).apply(variables, media, method="parts"),
            "embeddings": family(config).apply(variables, *embed, method="embed"),
            "logits": jnp.dot(states, head(config, variables), preferred_element_type=jnp.float32),
        }

    def _read_stages(config, variables: Variables, batch: Batch) -> dict[str, jax.Array]:
        """Return the ``stages`` of an instructed family."""
        looked = look_media(config, variables, batch["media"])
        media = encode_media(config, variables, looked)
        embed = batch["tokens"], media
        states, _ = hidden(config, variables, {**batch, "media": media})
        return {
            "features": looked["image"]["features"],
            "gates": media["image"]["gates"],
            "image tokens": media["image"]["tokens"],
            "embeddings": family(config).apply(variables, *embed, method="embed"),
            "logits": jnp.dot(states, head(config, variables), preferred_element_type=jnp.float32),
        }

    return Functions(
        init, abstract, look_media, encode_media, hidden, head, stages, family.instructed
    )


def split_layers(variables: Variables, cut: Callable = tuple) -> Variables:
    """Return the same model with its decoder layers apart.

    A decoding loop that reached into the stack would copy a layer out of it every time.

    Args:
      cut: splits a stacked leaf [L, ...] into its L layers.

    Returns:
      {..., "layers": one {"params", "lora"?} per layer}.
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


def _flat(*arrays: jax.Array | None) -> tuple[jax.Array | None, ...]:
    """Return arrays [B, I, ...] as [B * I, ...]."""
    return tuple(None if x is None else x.reshape(-1, *x.shape[2:]) for x in arrays)


def _collections(variables: Variables) -> Variables:
    """Return what flax reads; split layers are passed separately."""
    return {name: tree for name, tree in variables.items() if name != "layers"}


def _rngs(key: jax.Array | None) -> dict[str, jax.Array]:
    return {} if key is None else {"dropout": key}
