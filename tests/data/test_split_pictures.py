"""Split pictures of several sizes in packed rows: each answer has the log-probability that it has
alone, whatever the others in the batch look like.
"""

import jax
import numpy as np
import pytest
from PIL import Image
from tokenizers_of_tests import byte_level
from toy import pipeline_of, png

from mllm.data.conversation import Example, assistant, user
from mllm.data.packing import RowShape
from mllm.data.processor import Processor, ProcessorConfig
from mllm.data.rows import lay_out
from mllm.models import (
    ConnectorConfig,
    DecoderConfig,
    Idefics2Config,
    Idefics3Config,
    ResamplerConfig,
    VisionConfig,
    idefics2,
    idefics3,
)
from mllm.ops.segments import segment_sums
from mllm.training.values import packed_logprobs

pytestmark = pytest.mark.thorough

DECODER = DecoderConfig(400, 16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24)
TOWER = VisionConfig(
    image_size=24,
    patch_size=4,
    width=16,
    layers=1,
    heads=2,
    mlp_width=24,
    class_token=False,
    drop_first=False,
    pre_norm=False,
    post_norm=True,
    patch_bias=True,
    ragged=True,
)
MODELS = {
    "idefics2": (
        idefics2,
        Idefics2Config(
            DECODER, TOWER, ConnectorConfig(24, 16), ResamplerConfig(3, 16, 1, 2, 1, 8, 24)
        ),
        dict(longest_edge=22, shortest_edge=9),
    ),
    "idefics3": (
        idefics3,
        Idefics3Config(DECODER, TOWER, join=2),
        dict(image_size=24, longest_edge=40),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["idefics2", "idefics3"])
def test_answers_about_split_pictures_are_scored_as_alone(family):
    model, config, sizes = MODELS[family]
    names = dict(chat_format="idefics2", image_block=family, transform=family, split=True)
    tokens = config.image_tokens
    processor = Processor(ProcessorConfig(**names, **sizes, image_tokens=tokens), byte_level())
    variables = jax.tree.map(lambda x: x * 2, model.init(config, jax.random.key(0)))
    shapes = (50, 30), (21, 40)
    media = [png(Image.effect_noise(s, 90).convert("RGB")) for s in shapes]
    asked = [], [media[0]], [media[1]], [media[0], media[1]]
    source = [
        Example(str(index), "", (user(*shown, f"Who is {index}?"), assistant("London")))
        for index, shown in enumerate([*asked, *asked])
    ]
    longest = max(len(processor.encode(example.turns).ids) for example in source)
    pipeline = pipeline_of(source, processor, 2, RowShape(longest + 60, 40, 2), patch=4)
    examples, width = pipeline.examples, longest + 60
    found, score = np.zeros(len(examples)), jax.jit(packed_logprobs, static_argnums=(0, 1))
    for batch in map(pipeline.batch_at, range(pipeline.steps(1))):
        values = score(model, config, variables, batch)
        sums = np.asarray(segment_sums(values, batch["segments"], 2))
        known = batch["answers"] >= 0
        found[batch["answers"][known]] = sums[known]
    hidden = jax.jit(model.hidden, static_argnums=0)
    for example in examples:
        ids = example.ids.tolist()
        shown = [processor.prepare(medium) for medium in source[example.index].turns[0].media]
        batch = lay_out(
            [ids], [shown], image_id=processor.image_id, image_tokens=tokens, width=width, patch=4
        )
        states, _ = hidden(config, variables, batch)
        table = jax.nn.log_softmax(states[0] @ model.head(config, variables))
        places = np.arange(*example.supervised[0])
        alone = float(table[places - 1, np.asarray(ids)[places]].sum())
        np.testing.assert_allclose(found[example.index], alone, rtol=2e-5)
