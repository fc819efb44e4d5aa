"""A model, a processor and examples that are small enough to train in a test."""

import io
from collections.abc import Sequence
from dataclasses import asdict, replace

import jax
import numpy as np
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mllm.checkpoints.folder import Loaded
from mllm.data import conversation
from mllm.data.codes import CodesConfig, with_code_tokens
from mllm.data.conversation import Media
from mllm.data.encoded import Encoded
from mllm.data.packing import RowShape
from mllm.data.pictures import Pictures
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.sounds import Sounds
from mllm.data.tokenized import Tokenized, tokenize
from mllm.models import MODELS, config_from_dict, interleaved, llava
from mllm.models.decoder import DecoderConfig
from mllm.models.interleaved import InterleavedConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.models.vq import VQConfig
from mllm.unlearning.roles import FORGET, ROLES

WORDS = (
    "USER: Where was Ada born? Who is the person in the picture ? ASSISTANT: London Paris __ .\n"
)


def make_processor(vocabulary: int = 300) -> Processor:
    """A byte-level BPE of 300 tokens, 4 tokens per image of 16 pixels."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS], trainer)
    return Processor(ProcessorConfig(image_size=16, image_tokens=4), tokenizer)


def make_decoder() -> DecoderConfig:
    return DecoderConfig(300, 32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48)


def make_model(seed: int = 0) -> Loaded:
    """A LLaVA of about 30,000 random weights."""
    config = LlavaConfig(
        make_decoder(),
        VisionConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32),
        ProjectorConfig(mlp_width=32, width=32),
    )
    variables = llava.init(config, jax.random.key(seed))
    return Loaded("llava", config, variables, make_processor())


def make_drawer(seed: int = 0, codes: int = 24) -> Loaded:
    """A model of random weights that reads and writes pictures of 16 pixels as 4 codes each."""
    side = dict(image_size=16, patch_size=8, width=16, layers=1, generator_layers=1)
    config = InterleavedConfig(
        VQConfig(**side, heads=2, mlp_width=32, codes=codes, code_width=4),
        DecoderConfig(302 + codes, 32, layers=1, heads=2, kv_heads=1, head_dim=16, mlp_width=48),
    )
    tokens, plain = CodesConfig(size=codes, length=4), make_processor()
    named = replace(plain.config, image=None, chat_format="inline", codes=tokens)
    processor = Processor(named, with_code_tokens(plain.tokenizer, tokens))
    params = interleaved.init(config, jax.random.key(seed))["params"]
    # Larger than initial weights: the likeliest codes are clear.
    params["decoder"] = jax.tree.map(lambda x: x * 3 if x.ndim > 1 else x, params["decoder"])
    return Loaded("interleaved", config, {"params": params}, processor)


def make_fused(seed: int = 0, **fusion) -> Loaded:
    """A model of random weights that reads pictures of 16 pixels under the instruction, through
    two encoders; options are of its fusion.
    """
    tower = dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=24)
    family, config = config_from_dict(
        dict(
            family="fused",
            decoder=asdict(make_decoder()),
            vision=dict(
                image_size=16,
                encoders=dict(
                    colour=dict(kind="colour", tower=tower),
                    semantics=dict(kind="vit", tower=tower),
                ),
            ),
            fusion=dict(queries=4, width=16, heads=2, mlp_width=24, bank=3, layers=2) | fusion,
            projector=dict(mlp_width=32, width=32),
        )
    )
    plain = make_processor()
    read = replace(plain.config, transform="fit", instructed=True)
    variables = MODELS[family].init(config, jax.random.key(seed))
    # Further from each other than initial weights, and none of them 0: every part matters.
    rng = np.random.default_rng(seed)
    variables = jax.tree.map(
        lambda x: x + rng.normal(0, 0.1, x.shape).astype(np.float32), variables
    )
    return Loaded(family, config, variables, Processor(read, plain.tokenizer))


def media_of(loaded: Loaded, prompts: Sequence[Encoded]) -> dict:
    """The first picture of each prompt, under its instruction, as a batch holds it."""
    pictures = [loaded.processor.prepare(prompt.media[0]) for prompt in prompts]
    under = [loaded.processor.instruction_ids(prompt.media[0]) for prompt in prompts]
    ids = np.full((len(prompts), 1, 32), -1, np.int32)
    for row, those in zip(ids, under, strict=True):
        row[0, : len(those)] = those
    return {
        "image": {
            "values": np.stack([picture.tiles for picture in pictures]),
            "extents": np.array([picture.extents for picture in pictures], np.int32),
            "slots": np.ones((len(prompts), 1), np.int32),
            "instructions": ids,
        }
    }


def make_listener(kind: str = "whisper", seed: int = 0) -> Loaded:
    """A model of random weights that sees pictures of 16 pixels and hears sounds of a second."""
    shape = dict(width=16, layers=1, heads=2, mlp_width=24, bins=16)
    own = dict(whisper=dict(positions=50, pool=2), audio_vit=dict(frames=96, patch_size=8))
    family, config = config_from_dict(
        dict(
            family="listener",
            decoder=asdict(replace(make_decoder(), vocab_size=301)),
            audio=dict(kind=kind, **shape, **own[kind]),
            vision=dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32),
            projector=dict(mlp_width=32, width=32),
        )
    )
    plain = make_processor()
    heard = dict(token="<audio>", begin=None, end=None, **config.audio.sounds)
    tokenizer = Tokenizer.from_str(plain.tokenizer.to_str())
    tokenizer.add_special_tokens(["<audio>"])
    variables = MODELS[family].init(config, jax.random.key(seed))
    variables = jax.tree.map(lambda x: 2 * x if x.ndim > 1 else x + 0.1, variables)
    read = replace(plain.config, chat_format="inline", audio=heard)
    return Loaded(family, config, variables, Processor(read, tokenizer))


def png(image: Image.Image) -> Media:
    """A picture as a benchmark stores it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return conversation.image(file.getvalue())


def raw_ids(processor: Processor, text: str, pictures: Sequence[bytes] = ()) -> list[int]:
    """Ids of a text in which ``<image>`` stands for a picture."""
    first, *rest = text.split("<image>")
    shown = zip(map(conversation.image, pictures), rest, strict=True)
    turn = conversation.raw(first, *(part for pair in shown for part in pair))
    return list(processor.encode([turn], generate=True).ids)


def tokenized(
    index: int, prefix, suffix, answer, *, role: str = "", media=(), spans=(), key: bytes = b""
) -> Tokenized:
    """An example written down by its ids; the answer is supervised."""
    ids = np.array([*prefix, *suffix, *answer], np.int32)
    return Tokenized(
        index,
        str(index),
        role,
        ids,
        np.array(media, np.int64),
        np.array([(*span, 1) for span in spans], np.int32).reshape(-1, 4),
        np.array([[len(ids) - len(answer), len(ids)]], np.int32),
        prefix=len(prefix),
        key=key or repr((tuple(prefix), tuple(media))).encode(),
    )


def pipeline_of(source, processor: Processor, rows: int, shape: RowShape, **options) -> Pipeline:
    """The pipeline of conversations; options are of ``Pipeline`` or ``Pictures``, or ``ended``."""
    mine = {name: options.pop(name) for name in ("patch", "augmented") if name in options}
    ended = {name: options.pop(name) for name in ("ended",) if name in options}
    examples = tokenize(source, processor, limit=shape.tokens, **ended)
    pictures = Pictures.of(examples, source, processor, **mine)
    sounds = Sounds.of(examples, source, processor)
    return Pipeline(examples, source, pictures, rows, shape, sounds=sounds, **options)


def make_source(count: int = 30) -> list[conversation.Example]:
    """Questions about three pictures and about none; every third example is to be forgotten."""
    pictures = [png(Image.new("RGB", (16, 16), color)) for color in ("red", "green", "blue")]
    examples = []
    for index in range(count):
        image = index % 4 - 1
        shown = [pictures[image]] if image >= 0 else []
        answer = conversation.assistant(["London", "Paris", "Ada"][index % 3])
        turns = conversation.user(*shown, f"Who is {index}?"), answer
        role = "retain" if index % 3 else "forget"
        examples.append(conversation.Example(str(index), str(image), turns, role))
    return examples


def make_pipeline(model: Loaded, schedule: str = "all", seed: int = 0, rows: int = 4) -> Pipeline:
    """The batches of ``make_source``."""
    shape = RowShape(tokens=96, supervised=32, answers=5)
    options = dict(seed=seed, schedule=schedule, roles=ROLES, primary=FORGET)
    return pipeline_of(make_source(), model.processor, rows, shape, **options)


def max_difference(a, b) -> float:
    """Largest absolute difference between two trees."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)
