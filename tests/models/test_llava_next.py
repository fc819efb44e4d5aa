"""Training rows of LLaVA-NeXT: packing, precomputed tokens and a mesh change nothing, and whatever
stands in a row is learned from. Logits and replies are compared with transformers in
``tests/checkpoints/test_parity.py``.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_processor, pipeline_of, png

from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import Example, assistant, user
from mllm.data.packing import RowShape
from mllm.data.processor import Processor
from mllm.evaluation import ahead
from mllm.evaluation.ahead import Calls
from mllm.models import config_from_dict, config_to_dict, llava_next
from mllm.models.decoder import DecoderConfig
from mllm.models.llava_next import LlavaNextConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import fetch, place, place_rows
from mllm.studies import precomputed
from mllm.training.values import packed_logprobs

CONFIG = LlavaNextConfig(
    DecoderConfig(300, 32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48),
    VisionConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32),
    ProjectorConfig(mlp_width=32, width=32),
    grids=((1, 2), (2, 1), (2, 2)),
)
SIZES = [(16, 30), (50, 8), (21, 20), (3, 40)]  # width and height: unlike tiles and padding


def picture(number: int):
    width, height = SIZES[number]
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)
    return png(Image.fromarray(pixels))


def examples() -> list[Example]:
    """Questions about one picture, about two, and about none."""
    shown = [(0,), (0,), (0,), (1,), (1,), (2,), (2, 3), (2, 3), (3, 0), ()]
    return [
        Example(str(n), str(n), (user(*map(picture, those), f"Who is {n}?"), assistant("Ada.")), "")
        for n, those in enumerate(shown)
    ]


@pytest.fixture(scope="module")
def model() -> Loaded:
    config = replace(make_processor().config, **CONFIG.pictures, split=True, image_tokens=6)
    variables = llava_next.init(CONFIG, jax.random.key(0))
    # Larger than initial weights, so that attention is far from uniform.
    variables = jax.tree.map(lambda x: x * 2 if x.ndim > 1 else x, variables)
    return Loaded("llava_next", CONFIG, variables, Processor(config, make_processor().tokenizer))


def batches(model: Loaded, answers: int, tokens: int) -> tuple:
    """(pipeline, its only batch), with up to ``answers`` examples a row."""
    shape = RowShape(tokens, supervised=8 * answers, answers=answers)
    pipeline = pipeline_of(examples(), model.processor, 16 if answers == 1 else 8, shape)
    assert len(pipeline.epoch(0)) == 1
    return pipeline, pipeline.batch_at(0)


@jax.jit
def loss_and_gradient(variables, batch):
    """Summed log-probability of all answers."""

    def loss(variables):
        values = packed_logprobs(llava_next, CONFIG, variables, batch)
        return values.sum(), values

    return jax.value_and_grad(loss, has_aux=True)(variables)


@pytest.fixture(scope="module")
def packed(model):
    pipeline, batch = batches(model, 4, 112)
    return pipeline, batch, loss_and_gradient(model.variables, batch)


def assert_close(found, expected):
    for (path, here), there in zip(
        jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True
    ):
        scale = max(1, np.abs(there).max())
        np.testing.assert_allclose(here, there, atol=5e-4 * scale, err_msg=str(path))


@pytest.mark.thorough
def test_packed_rows_with_tiles_equal_separate_ones(model, packed):
    pipeline, batch, ((total, _), gradient) = packed
    images = batch["media"]["image"]
    assert (batch["answers"] >= 0).sum(axis=1).max() > 1 and images["values"].shape[1] >= 8
    _, apart = batches(model, 1, 96)
    assert (apart["answers"] >= 0).sum() == len(pipeline.examples) == 10
    (expected, _), wanted = loss_and_gradient(model.variables, apart)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    assert_close(gradient, wanted)


@pytest.mark.thorough
def test_gradients_reach_the_ends_of_rows_the_projector_and_the_tower(packed):
    _, _, (_, gradient) = packed
    for leaf in jax.tree.leaves(gradient["params"]):
        assert np.abs(leaf).max() > 0


@pytest.mark.thorough
def test_every_place_of_a_picture_is_written_once_and_no_other(packed):
    pipeline, batch, _ = packed
    images, image_id = batch["media"]["image"], pipeline.pictures.processor.image_id
    places = images["slots"][..., None] + images["offsets"]
    written = (images["offsets"] >= 0) & (images["slots"][..., None] >= 0)
    for row, tokens in enumerate(batch["tokens"]):
        found = np.sort(places[row][written[row]])
        np.testing.assert_array_equal(found, np.flatnonzero(tokens == image_id))
    np.testing.assert_array_equal(images["lengths"], written.sum(axis=-1))


@pytest.mark.thorough
def test_tokens_that_were_encoded_before_give_the_same(model, packed, tmp_path):
    _, batch, ((_, expected), _) = packed
    once, _ = batches(model, 4, 112)
    once.pictures.made = precomputed.made_of_pictures(model, once, tmp_path)
    known = once.batch_at(0)
    assert "values" not in known["media"]["image"]
    found = jax.jit(packed_logprobs, static_argnums=(0, 1))
    found = found(llava_next, CONFIG, model.variables, known)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(known["tokens"], batch["tokens"])


@pytest.mark.thorough
@pytest.mark.slow
def test_eight_devices_compute_what_one_does(model, packed):
    _, _, ((_, expected), wanted) = packed
    _, batch = batches(model, 2, 96)
    mesh = make_mesh(2, 2, 2)
    arguments = place(model.variables, mesh), place_rows(batch, mesh)
    (total, _), gradient = loss_and_gradient(*arguments)
    np.testing.assert_allclose(total, np.asarray(expected).sum(), rtol=1e-5)
    assert_close(jax.tree.map(fetch, gradient), wanted)


def test_what_is_planned_has_the_shapes_of_what_comes(model):
    encoded = model.processor.encode([user(picture(1), picture(2), "Who?")], generate=True)
    planned = ahead._Planned(ahead._Ahead(Calls(model))).pictures(encoded, [0, 1])
    for here, there in zip(planned, Calls(model).pictures(encoded, [0, 1]), strict=True):
        assert here.tiles.shape == there.tiles.shape and here.extents == there.extents
        assert here.offsets.shape == there.offsets.shape
        assert here.offsets.max() == there.offsets.max()


def test_views_and_whole_pictures_take_one_tile(model):
    whole = replace(model.processor.config, split=False)
    processor = Processor(whole, model.processor.tokenizer)
    shape = RowShape(64, supervised=32, answers=4)
    pipeline = pipeline_of(examples(), processor, 8, shape, augmented=True)
    images = pipeline.batch_at(0)["media"]["image"]
    assert images["values"].shape[1] == 2 and images["lengths"].max() == 5
    assert images["offsets"][0, 0].tolist() == [0, 1, 2, 3, 4, -1]


def test_configurations_survive_json_and_mistakes_are_named():
    assert config_from_dict(config_to_dict("llava_next", CONFIG)) == ("llava_next", CONFIG)
    with pytest.raises(ValueError, match=r"drop_first is False with a class token"):
        replace(CONFIG, vision=replace(CONFIG.vision, drop_first=False))
