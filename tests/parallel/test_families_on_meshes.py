"""Gradients of every family, through towers, connectors and resamplers, over eight devices."""

import jax
import numpy as np
import pytest

from mllm.models import MODELS, config_from_dict
from mllm.ops.losses import supervised_logprobs
from mllm.parallel.mesh import make_mesh, one_device
from mllm.parallel.place import fetch, place, place_rows
from mllm.parallel.states import keep_rows
from mllm.training.values import predicting_states

pytestmark = pytest.mark.slow  # of LLaVA, test_mesh_equality compares whole updates

DECODER = dict(
    vocab_size=64, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48, tied=False
)
SIGLIP = dict(
    image_size=28,
    patch_size=7,
    width=16,
    layers=2,
    heads=2,
    mlp_width=32,
    class_token=False,
    drop_first=False,
    pre_norm=False,
    post_norm=True,
    patch_bias=True,
    ragged=True,
)
FAMILIES = {
    "llava": dict(
        vision=dict(image_size=28, patch_size=7, width=16, layers=2, heads=2, mlp_width=32),
        projector=dict(mlp_width=32, width=32),
    ),
    "idefics2": dict(
        vision=SIGLIP,
        connector=dict(mlp_width=48, width=32),
        resampler=dict(
            latents=4, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48
        ),
    ),
    "idefics3": dict(vision=dict(SIGLIP, partial_patches=True), join=2),
}
ROWS, TOKENS = 8, 48


def draw_batch(image_tokens: int) -> dict[str, np.ndarray]:
    """Rows of two images and a text, of which the last tokens are supervised."""
    rng = np.random.default_rng(0)
    places = np.arange(TOKENS, dtype=np.int32)
    images = {
        "values": rng.integers(0, 256, (ROWS, 2, 28, 28, 3)).astype(np.uint8),
        "slots": np.tile(np.asarray([1, 3 + image_tokens], np.int32), (ROWS, 1)),
        "extents": rng.integers(8, 29, (ROWS, 2, 2)).astype(np.int32),
    }
    targets = np.tile(np.arange(TOKENS - 6, TOKENS, dtype=np.int32), (ROWS, 1))
    return {
        "tokens": rng.integers(0, 64, (ROWS, TOKENS)).astype(np.int32),
        "positions": np.tile(places, (ROWS, 1)),
        "segments": np.zeros((ROWS, TOKENS), np.int32),
        "targets": targets,
        "sources": targets - 1,
        "media": {"image": images},
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_equal_those_of_one_device(family):
    name, config = config_from_dict({"family": family, "decoder": DECODER, **FAMILIES[family]})
    model, batch = MODELS[name], draw_batch(config.image_tokens)
    variables = jax.device_get(model.init(config, jax.random.key(0)))

    def gradient(mesh):
        def loss(variables, batch):
            with keep_rows(mesh):
                states = predicting_states(model, config, variables, batch)
            return -supervised_logprobs(states, model.head(config, variables), batch).mean()

        spread = place(variables, mesh), place_rows(batch, mesh)
        return jax.tree.map(fetch, jax.jit(jax.value_and_grad(loss))(*spread))

    value, wanted = gradient(one_device())
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
    for sizes in ((1, 4, 2), (2, 2, 2)):
        found_value, found = gradient(make_mesh(*sizes))
        np.testing.assert_allclose(found_value, value, rtol=1e-5)
        for (path, here), there in zip(
            jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(wanted), strict=True
        ):
            scale = max(np.abs(there).max(), largest / 100)  # of keys' biases all is rounding
            np.testing.assert_allclose(
                here, there, atol=2e-5 * scale, err_msg=f"{sizes} {jax.tree_util.keystr(path)}"
            )
