"""Where parameters, adapters and optimizer state lie."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest

from configs.bench.llava7b import LLAVA_7B
from mllm.models import MODELS, config_from_dict
from mllm.ops.lora import init_lora
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import replicated_share, shardings, spec_of
from mllm.training import optimizers, state

VISION = dict(image_size=28, patch_size=14, width=16, layers=1, heads=2, mlp_width=32)
DECODER = dict(
    vocab_size=64, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48, tied=False
)
SIGLIP = dict(
    **VISION,
    class_token=False,
    drop_first=False,
    pre_norm=False,
    post_norm=True,
    patch_bias=True,
)
CELLS = dict(VISION, patch_size=4)
BANK = dict(
    image_size=32,
    encoders=dict(
        colour=dict(kind="colour", tower=CELLS),
        edges=dict(kind="spectrum", tower=CELLS),
        semantics=dict(kind="vit", tower=VISION),
    ),
)
FAMILIES = {
    "llava": dict(
        decoder=dict(DECODER, qkv_bias=True, o_bias=True, mlp_bias=True),
        vision=dict(VISION, layer_scale=True, patch_bias=True),
        projector=dict(mlp_width=32, width=32),
    ),
    "llava_next": dict(decoder=DECODER, vision=VISION, projector=dict(mlp_width=32, width=32)),
    "idefics2": dict(
        decoder=DECODER,
        vision=SIGLIP,
        connector=dict(mlp_width=48, width=32),
        resampler=dict(
            latents=4, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48
        ),
    ),
    "idefics3": dict(decoder=DECODER, vision=SIGLIP, join=2),
    "fused": dict(
        decoder=DECODER,
        vision=BANK,
        fusion=dict(queries=4, width=16, heads=2, mlp_width=32, sentence_layers=1),
        projector=dict(mlp_width=32, width=32),
    ),
    "fused, mova": dict(
        decoder=DECODER,
        vision=BANK,
        fusion=dict(kind="mova", base="semantics", queries=1, width=16, heads=2, mlp_width=32),
        projector=dict(mlp_width=32, width=32),
    ),
}


def abstract_state(values: dict, optimizer: str, rank: int = 16, targets: str = "."):
    """Weights, adapter and the optimizer's state for both, as shapes."""
    family, config = config_from_dict(values)
    variables = MODELS[family].abstract(config)
    adapter = partial(init_lora, rank=rank, targets=targets)
    variables["lora"] = jax.eval_shape(adapter, variables["params"], jax.random.key(0))
    schedule = optimizers.Schedule(peak=1.0, steps=9, warmup=2, decay="cosine")
    rule = optimizers.make_optimizer(optimizer, schedule, clip=1.0)
    return variables, jax.eval_shape(rule.init, variables)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_array_of_every_family_has_a_place(family, optimizer):
    values = {"family": family.split(",")[0], **FAMILIES[family]}
    tree = abstract_state(values, optimizer, rank=3)
    mesh = make_mesh(2, 2, 2)
    for leaf, place in zip(
        jax.tree.leaves(tree), jax.tree.leaves(shardings(tree, mesh)), strict=True
    ):
        place.shard_shape(leaf.shape)  # refuses what does not divide
        if leaf.ndim == 0:
            assert place.is_fully_replicated


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_little_of_seven_billion_parameters_is_on_every_device(dtype):
    variables, opt = abstract_state(LLAVA_7B, "adamw", targets=r"decoder/layers/\w+$")
    variables["params"] = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.dtype(dtype)), variables["params"]
    )
    mesh = make_mesh(1, 8, 1)
    assert replicated_share((variables, opt), mesh) < 0.001
    assert replicated_share({"lora": variables["lora"]}, mesh) < 0.001  # also by itself


def test_the_share_is_of_bytes():
    tree = {
        "decoder": {
            "layers": {"q": {"w": jnp.zeros((1, 8, 8), jnp.float32)}},
            "norm": {"scale": jnp.zeros(32, jnp.bfloat16)},
        }
    }
    assert replicated_share(tree, make_mesh(1, 8, 1)) == 64 / (256 + 64)


@pytest.mark.parametrize(
    ("path", "shape", "sizes", "spec"),
    [
        # Both sides of a matrix are split, over fsdp and over tensor; layers never.
        ("params/decoder/layers/q/w", (8, 16, 16), (1, 4, 2), (None, "fsdp", "tensor")),
        ("params/decoder/layers/o/w", (8, 16, 16), (1, 4, 2), (None, "tensor", "fsdp")),
        # A bias of q, k, v lies as the heads do; the second matrix of an adapter as well.
        ("params/decoder/layers/q/b", (8, 16), (1, 4, 2), (None, "tensor")),
        ("opt/1/mu/lora/decoder/layers/q/a", (8, 16, 3), (1, 4, 2), (None, "fsdp")),
        ("lora/decoder/layers/q/b", (8, 3, 16), (1, 4, 2), (None, None, ("tensor", "fsdp"))),
        ("lora/connector/a", (16, 3), (1, 8, 1), ("fsdp",)),
        # Of two axes the first one stays where the second does not divide.
        ("lora/decoder/layers/q/b", (8, 3, 6), (1, 4, 2), (None, None, "tensor")),
        ("params/decoder/embed", (30, 16), (1, 2, 4), (None, "fsdp")),
        ("opt/0/count", (), (1, 4, 2), ()),
    ],
)
def test_places_follow_the_table(path, shape, sizes, spec):
    assert spec_of(path, shape, make_mesh(*sizes)) == jax.sharding.PartitionSpec(*spec)


def test_mistakes_are_named():
    mesh = make_mesh(2, 2, 2)
    with pytest.raises(ValueError, match="no sharding rule matches parameter 'decoder/router/w'"):
        spec_of("decoder/router/w", (4, 4), mesh)
    with pytest.raises(ValueError, match="no sharding rule matches parameter 'params/decoder/x'"):
        tree = {"params": {"decoder": {"x": jnp.zeros(3)}}}
        state.create(tree, optimizers.make_optimizer("adamw", lambda _: 1.0), mesh)
    for shape in ((3, 1, 1), (3, -1, 1), (-1, -1, 1), (16, 1, 1)):
        with pytest.raises(ValueError, match="does not fit 8 devices"):
            make_mesh(*shape)
