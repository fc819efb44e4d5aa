"""Several encoders as one: the fusion that an instruction guides, and the family around it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.models import config_from_dict, config_to_dict, fused

CELLS = dict(image_size=24, patch_size=8, width=16, layers=1, heads=2, mlp_width=24)
ENCODERS = dict(
    colour=dict(kind="colour", tower=CELLS),
    edges=dict(kind="spectrum", tower=dict(CELLS, image_size=32, width=8)),
    semantics=dict(kind="vit", tower=dict(CELLS, image_size=32, width=24)),
)
DECODER = dict(
    vocab_size=50, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24, tied=False
)
VALUES = dict(
    family="fused",
    decoder=DECODER,
    vision=dict(image_size=32, encoders=ENCODERS),
    fusion=dict(queries=4, width=16, heads=2, mlp_width=24, bank=3, layers=2),
    projector=dict(mlp_width=24, width=16),
)
_, CONFIG = config_from_dict(VALUES)


def images(count: int = 2, seed: int = 0, instruction: int = 5) -> dict[str, np.ndarray]:
    """Media of one picture in each row, of several shapes, with an instruction."""
    rng = np.random.default_rng(seed)
    shapes = [(32, 20), (18, 32), (32, 32), (9, 32)]
    found = np.full((count, 1, 32), -1)
    found[:, 0, :instruction] = rng.integers(0, 50, (count, instruction))
    return {
        "values": rng.integers(0, 256, (count, 1, 32, 32, 3)).astype(np.uint8),
        "extents": np.array([[shapes[n % 4]] for n in range(count)], np.int32),
        "slots": np.ones((count, 1), np.int32),
        "instructions": found.astype(np.int32),
    }


@pytest.fixture(scope="module")
def variables():
    return fused.init(CONFIG, jax.random.key(0))


def test_a_model_reads_features_as_it_reads_pictures(variables):
    tokens = jnp.arange(12)[None].repeat(2, 0) % 50
    batch = {"tokens": tokens, "positions": tokens, "segments": jnp.zeros_like(tokens)}
    media = {"image": images()}
    hidden, look, encode = (
        partial(jax.jit(function, static_argnums=0), CONFIG, variables)
        for function in (fused.hidden, fused.look_media, fused.encode_media)
    )
    whole, _ = hidden({**batch, "media": media})
    looked = look(media)
    assert looked["image"]["features"].shape == (2, 1, CONFIG.vision.features)
    assert set(looked["image"]) == {"features", "slots", "instructions"}
    encoded = encode(looked)
    assert encoded["image"]["tokens"].shape == (2, 1, CONFIG.image_tokens, 16)
    for one in (looked, encoded):
        states, _ = hidden({**batch, "media": one})
        np.testing.assert_allclose(states, whole, atol=1e-5)
    assert np.isfinite(whole).all()


def test_a_configuration_survives_json():
    assert config_from_dict(config_to_dict("fused", CONFIG)) == ("fused", CONFIG)


def test_rows_without_a_picture_leave_all_finite(variables):
    """A batch is filled up with rows whose media have extents of 0 and empty instructions."""
    found = images(2)
    found["extents"][1], found["slots"][1], found["instructions"][1] = 0, -1, -1
    found["values"][1] = 0

    def loss(variables, media):
        tokens = fused.encode_media(CONFIG, variables, {"image": media})["image"]["tokens"]
        return jnp.square(tokens[:1]).sum() + 0 * tokens[1:].sum()

    gradient = jax.jit(jax.grad(loss))(variables, found)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    encode = jax.jit(fused.encode_media, static_argnums=0)
    empty = {"features": np.zeros((1, 1, CONFIG.vision.features), np.float32)}
    empty |= {"slots": found["slots"][1:], "instructions": found["instructions"][1:]}
    assert np.isfinite(encode(CONFIG, variables, {"image": empty})["image"]["tokens"]).all()
