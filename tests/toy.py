"""A model, a processor and examples that are small enough to train in a test."""

import jax
import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mllm.checkpoints.folder import Loaded
from mllm.data.packing import Example, RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor, ProcessorConfig
from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig

WORDS = (
    "USER: Where was Ada born? Who is the person in the picture ? ASSISTANT: London Paris __ .\n"
)


def make_processor(vocabulary: int = 300) -> Processor:
    """A byte-level BPE of 300 tokens, 4 tokens an image of 16 pixels."""
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


def make_model(seed: int = 0) -> Loaded:
    """A LLaVA of about 30,000 random weights."""
    config = LlavaConfig(
        DecoderConfig(300, 32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48),
        VisionConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32),
        ProjectorConfig(mlp_width=32, width=32),
    )
    variables = llava.init(config, jax.random.key(seed))
    return Loaded("llava", config, variables, make_processor())


def make_pipeline(model: Loaded, schedule: str = "all", seed: int = 0, rows: int = 4) -> Pipeline:
    """Questions about three pictures and about none; every third example is to be forgotten."""
    from PIL import Image

    colors = ("red", "green", "blue")
    pictures = [model.processor.arrange(Image.new("RGB", (16, 16), color)) for color in colors]
    examples = []
    for index in range(30):
        image = index % 4 - 1
        prefix, suffix = model.processor.prompt(f"Who is {index}?", [(0, 0)] * (image >= 0))
        answer = model.processor.answer(["London", "Paris", "Ada"][index % 3])
        parts = tuple(prefix), tuple(suffix), tuple(answer)
        examples.append(Example(index, image, index % 3 == 0, *parts))
    shape = RowShape(tokens=96, supervised=32, answers=5)
    return Pipeline(examples, pictures, model.processor, rows, shape, seed=seed, schedule=schedule)


def max_difference(a, b) -> float:
    """Largest absolute difference between two trees."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in pairs)
