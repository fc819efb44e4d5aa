"""``import mllm``: load a model, ask it, score with it, save it."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.folder import Loaded, load_model, save_model
from mllm.checkpoints.hf_folder import write_folder
from mllm.checkpoints.new_folder import new_folder
from mllm.checkpoints.text_model import read_gguf_model
from mllm.data import anyres
from mllm.data.conversation import Media, Turn, image, raw, raw_prompt
from mllm.data.conversation import audio as sound
from mllm.data.processor import Processor
from mllm.data.published_inputs import one_each, published_images, published_sounds
from mllm.data.rows import place_images, place_instructions
from mllm.evaluation.codec import codec_of
from mllm.evaluation.request import Ask, Choices, Picture, Reply, Request, Text, content_key
from mllm.evaluation.runner import LocalModel
from mllm.parallel.place import place
from mllm.paths import local_path
from mllm.registry import lookup


def load(path: str | PathLike, *, dtype: str | None = None, mesh=None) -> "Model":
    """Load a model.

    Args:
      path: a checkpoint folder of ours (a run's folder, or one that ``Model.save`` wrote); a
        Hugging Face folder of a supported family, or one of a PEFT adapter for it; or a ``.gguf``
        file of the Llama family (text only).
      dtype: of parameters and activations; None keeps what is stored.
      mesh: lay the parameters over this mesh (``mllm.parallel``); None puts them on the first
        device.

    Raises:
      FileNotFoundError, ValueError: naming file, key, what was expected and what was found.
    """
    path = local_path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if path.is_file() and path.suffix == ".gguf":
        loaded = read_gguf_model(path, dtype)
        if mesh is not None:
            loaded = replace(loaded, variables=place(loaded.variables, mesh))
    elif path.is_dir():
        loaded = load_model(path, dtype=dtype, mesh=mesh)
    else:
        raise ValueError(
            f"{path}: found a file, expected a folder with config.json (Hugging Face), "
            "adapter_config.json (PEFT) or model.json (ours), or a .gguf file"
        )
    return Model(loaded)


@dataclass(frozen=True)
class Model:
    """A loaded model; ``loaded`` holds config, variables and processor."""

    loaded: Loaded

    def logits(self, input_ids, pixel_values=None, attention_mask=None, **media) -> np.ndarray:
        """Logits float32[B, T, V], inputs laid out as the family's transformers model takes them.

        Args:
          input_ids: i[B, T], an image (or a crop of one) taking ``image_tokens`` places of the
            image token.
          pixel_values: normalised pixels in the order of their tokens: float[N, 3, H, W] for llava,
            float[B, I, 3, H, W] for idefics2 and idefics3, whose images of zeros are none,
            float[N, P, 3, H, W] for llava_next, up to P tiles of each picture; values from 0 to 1
            of float[N, 3, S, S] for fused, each picture at the upper left of a square.
          attention_mask: i[B, T], 0 on padding, at either side.
          media: ``pixel_attention_mask`` [B, I, H, W] for idefics2 and idefics3, 0 on the padding
            at the right and at the bottom; ``image_sizes`` i[N, 2] for llava_next, height and width
            of each picture before it was prepared, and for fused, those on its square;
            ``instructions`` i[N, Q] for fused, ids of the text under which each picture is read,
            -1 for padding; ``input_features`` float[N, bins, F] for listener (Qwen2-Audio), the
            log-mel spectrograms of the sounds in the order of their tokens, and
            ``feature_attention_mask`` [N, F], 0 after the end of each.

        Raises:
          ValueError: a shape or an id that the model does not take, image tokens and images that do
            not match, a mask that is no rectangle from the upper left, or an unknown input.
        """
        loaded, tokens = self.loaded, np.asarray(input_ids, np.int32)
        if tokens.ndim != 2 or not tokens.size:
            raise ValueError(f"input_ids: expected [B, T], found shape {tokens.shape}")
        if (wrong := tokens[(tokens < 0) | (tokens >= loaded.config.decoder.vocab_size)]).size:
            size = loaded.config.decoder.vocab_size
            raise ValueError(f"input_ids: expected ids from 0 to {size - 1}, found {wrong[0]}")
        there = np.ones_like(tokens)
        if attention_mask is not None:
            there = np.asarray(attention_mask, np.int32)
        if there.shape != tokens.shape:
            raise ValueError(
                f"attention_mask: expected shape {tokens.shape}, that of input_ids, found "
                f"{there.shape}"
            )
        batch = {
            "tokens": tokens,
            "positions": np.maximum(np.cumsum(there, axis=1, dtype=np.int32) - 1, 0),
            "segments": np.where(there > 0, 0, -1).astype(np.int32),
        }
        sounds = published_sounds(tokens, loaded.config, loaded.audio_id, media)
        offsets, token = None, (loaded.image_id, loaded.config.image_tokens)
        if loaded.family == "llava_next" and pixel_values is not None:
            shown = np.asarray(pixel_values), media.pop("image_sizes", None), loaded.config
            pixel_values, offsets = anyres.published_tiles(*shown)
        read = {}
        if loaded.model.instructed:
            read = {name: media.pop(name, None) for name in ("image_sizes", "instructions")}
        images, extents = published_images(pixel_values, loaded.config, loaded.family, media)
        if read and len(images):
            extents = one_each("image_sizes", read["image_sizes"], images.shape[:1], (2,))
        if found := place_images(tokens, images, extents, None, *token, offsets):
            batch["media"] = found
            if read:
                ids = one_each("instructions", read["instructions"], images.shape[:1])
                place_instructions(found["image"], [row[row >= 0] for row in ids])
        if sounds:
            batch["media"] = {**batch.get("media", {}), "audio": sounds}
        states, _ = jax.jit(loaded.model.hidden, static_argnums=0)(
            loaded.config, loaded.variables, batch
        )
        head = loaded.model.head(loaded.config, loaded.variables).astype(states.dtype)
        return np.asarray(jnp.dot(states, head, preferred_element_type=jnp.float32))

    def generate(
        self,
        prompts: Sequence[str],
        images: Sequence | None = None,
        *,
        max_new_tokens: int,
        seed: int | None = None,
        temperature: float = 0.0,
        stop: str | Sequence[str] = (),
        audio: Sequence | None = None,
    ) -> list[str]:
        """Continue prompts, greedily or by sampling at ``temperature`` > 0 with ``seed``.

        Args:
          prompts: whole texts as the model should read them; ``<image>`` stands for an image and
            ``<audio>`` for a sound, names of special tokens for those tokens.
          images, audio: per prompt an encoded image or sound (bytes), a list of them, or None.
          stop: texts, or names of special tokens, at which a reply ends, besides those that the
            model's generation_config.json names; no reply holds them.

        Raises:
          ValueError: a prompt's ``<image>``s or ``<audio>``s do not match its images and sounds,
            one of these cannot be decoded, or prompt and reply exceed the model's length.
        """
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens: expected 1 or more, found {max_new_tokens}")
        stops = (stop,) if isinstance(stop, str) else tuple(stop)
        _require_list(prompts)
        seeds = _seeds(seed, len(prompts))
        asks = [Text(max_new_tokens, temperature, own, stops) for own in seeds]
        return [reply.text for reply in self._answer(prompts, images, asks, audio)]

    def draw(
        self,
        prompts: Sequence[str],
        images: Sequence | None = None,
        *,
        seed: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        guidance: float = 0.0,
        others: Sequence[str] | None = None,
        other_images: Sequence | None = None,
    ) -> list[bytes]:
        """Draw a picture after each prompt, as a PNG; the model must be of a family that does.

        Args:
          prompts, images: see ``generate``. ``seed`` is used at ``temperature`` > 0.
          top_k, top_p: codes are drawn among this many of the likeliest, 0 for all, and among the
            likeliest that hold this probability together.
          guidance: scale of classifier-free guidance; 0 and 1 do without.
          others, other_images: the prompts that pictures are pushed away from, with guidance.

        Raises:
          ValueError: as ``generate``; or the model draws no pictures, or its numbers are not
            finite.
        """
        if codec_of(self.loaded) is None:
            raise ValueError(
                f"family {self.loaded.family!r} draws no pictures; load a model that does, such as "
                "one of family 'interleaved'"
            )
        _require_list(prompts)
        if others is not None:
            _require_list(others)
            if len(others) != len(prompts):
                raise ValueError(f"{len(prompts)} prompts but {len(others)} others")
        turns = [()] * len(prompts)
        if others is not None:
            turns = [(turn,) for turn in self._turns(others, other_images, "other prompt")]
        how = {"top_k": top_k, "top_p": top_p, "guidance": guidance}
        seeds = _seeds(seed, len(prompts))
        asks = [
            Picture(temperature, seed=own, other=other, **how)
            for own, other in zip(seeds, turns, strict=True)
        ]
        replies = self._answer(prompts, images, asks)
        for number, reply in enumerate(replies):
            if reply.media is None:
                raise ValueError(f"prompt {number}: the model's numbers are not finite")
        return [reply.media.data for reply in replies]

    def score(
        self,
        prompts: Sequence[str],
        images: Sequence | None,
        choices: Sequence[Sequence[str]],
        *,
        audio: Sequence | None = None,
    ) -> list[np.ndarray]:
        """Return the summed log-probability float64[choices] of each choice right after its prompt.

        Args:
          prompts, images, audio: see ``generate``.

        Raises:
          ValueError: as ``generate``; or a prompt has no choices, or one without a token; or the
            model's numbers are not finite.
        """
        _require_list(prompts)
        if len(choices) != len(prompts):
            raise ValueError(f"{len(prompts)} prompts but {len(choices)} lists of choices")
        for number, texts in enumerate(choices):
            if isinstance(texts, str):
                raise ValueError(f"choices: expected a list of texts per prompt, found {texts!r}")
            if not texts:
                raise ValueError(
                    f"choices of prompt {number}: expected at least one text, found []"
                )
        asks = [Choices(tuple(texts), ended=False) for texts in choices]
        replies = self._answer(prompts, images, asks, audio)
        for number, reply in enumerate(replies):
            if reply.logprobs is None:
                raise ValueError(f"prompt {number}: log-probabilities are not finite")
        return [np.asarray(reply.logprobs, np.float64) for reply in replies]

    def _answer(
        self,
        prompts: Sequence[str],
        images: Sequence | None,
        asks: Sequence[Ask],
        audio: Sequence | None = None,
    ) -> list[Reply]:
        """Return the reply to what is asked of each prompt."""
        turns = self._turns(prompts, images, "prompt", audio)
        requests = [
            Request(str(number), f"prompt {number}", {}, (turn,), ask)
            for number, (turn, ask) in enumerate(zip(turns, asks, strict=True))
        ]
        # A system prompt is the study's: here a prompt is whole.
        model = LocalModel(replace(self.loaded, system_prompt=None))
        found = {reply.key: reply for lot in model.answer(requests, set()) for reply in lot}
        return [found[request.key] for request in requests]

    def _turns(
        self,
        prompts: Sequence[str],
        images: Sequence | None,
        name: str,
        audio: Sequence | None = None,
    ) -> list[Turn]:
        """Return each prompt with its images and sounds, all of which can be decoded."""
        processor, turns = self.loaded.processor, []
        numbers = {"image": itertools.count(), "audio": itertools.count()}
        shown = [list(map(image, own)) for own in _as_lists(images, len(prompts))]
        heard = [list(map(sound, own)) for own in _as_lists(audio, len(prompts), "audio")]
        for number, prompt in enumerate(prompts):
            where = f"{name} {number}"
            turns.append(_raw_turn(prompt, shown[number], heard[number], processor, where))
            for media in turns[-1].media:
                where = f"{media.kind} {next(numbers[media.kind])}"
                if media.kind == "audio":
                    processor.samples(media, where)
                else:
                    processor.prepare(media, where)
        return turns

    def save(self, path: str | PathLike, format: str = "orbax") -> None:
        """Write a folder that needs no other.

        Args:
          format: "orbax", which ``mllm.load`` reads; or "hf", which transformers' from_pretrained
            reads too, with adapters merged in.

        Raises:
          ValueError: an unknown format, a folder that is not new, or a model of a shape that no
            Hugging Face model of its family has.
        """
        lookup({"orbax": _write_ours, "hf": write_folder}, format, "format")(
            local_path(path), self.loaded
        )


def _raw_turn(
    prompt: str, shown: list[Media], heard: list[Media], processor: Processor, where: str
) -> Turn:
    """Return the prompt with an image for each ``<image>`` and a sound for each ``<audio>``.

    Raises:
      ValueError: there are not as many of either, or the model does not take them.
    """
    config, sees = processor.config, processor.config.image is not None
    if heard and config.audio is None:
        raise ValueError(f"{where}: {len(heard)} sounds, but the model hears nothing")
    if not sees and config.codes is None:
        if shown:
            raise ValueError(f"{where}: {len(shown)} images, but the model takes text only")
        return raw_prompt(prompt, heard, where) if heard else raw(prompt)
    return raw_prompt(prompt, [*shown, *heard], where)


def _write_ours(folder: Path, loaded: Loaded) -> None:
    with new_folder(folder) as temporary:
        save_model(temporary, loaded)


def _seeds(seed: int | None, count: int) -> list[int]:
    """Return a seed for each prompt: each draws by itself, also where two are the same."""
    first = 0 if seed is None else seed
    return [int(content_key(first, number), 16) % 2**32 for number in range(count)]


def _require_list(prompts: Sequence[str]) -> None:
    if isinstance(prompts, str):
        raise ValueError(f"prompts: expected a list of texts, found the text {prompts[:40]!r}")


def _as_lists(images: Sequence | None, count: int, kind: str = "image") -> list[list[bytes]]:
    """Per prompt a list of encoded images or sounds.

    Raises:
      ValueError: there are not as many entries as prompts, or one is no bytes.
    """
    if images is None:
        return [[] for _ in range(count)]
    if len(images) != count:
        raise ValueError(
            f"{count} prompts but {len(images)} entries of {kind}{'s' * (kind == 'image')}"
        )
    lists = [
        [] if shown is None else list(shown) if isinstance(shown, list | tuple) else [shown]
        for shown in images
    ]
    for number, data in enumerate(itertools.chain(*lists)):
        if not isinstance(data, bytes):
            raise ValueError(
                f"{kind} {number}: expected the bytes of an {kind} file, found "
                f"{type(data).__name__}; read a file with Path(...).read_bytes()"
            )
    return lists
