"""A step with the attention kernel is compiled for TPUs that are not here."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig
from mllm.ops.attention import attention, causal, kernels_for
from mllm.ops.lora import init_lora
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import make_mesh
from mllm.parallel.rules import rows_spec, shardings
from mllm.parallel.topology import devices_of
from mllm.training.optimizers import make_optimizer, make_schedule
from mllm.training.state import TrainState
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

CONFIG = LlavaConfig(
    DecoderConfig(
        vocab_size=256,
        width=256,
        layers=2,
        heads=4,
        kv_heads=2,
        head_dim=128,
        mlp_width=256,
        remat="nothing",
    ),
    VisionConfig(image_size=28, patch_size=14, width=64, layers=1, heads=1, mlp_width=64),
    ProjectorConfig(mlp_width=256, width=256),
    dtype="bfloat16",
)
ROWS, TOKENS, SUPERVISED, ANSWERS = 4, 256, 64, 4


@pytest.fixture(scope="module")
def mesh():
    pytest.importorskip("libtpu", reason="compiling for a TPU needs libtpu (requirements-tpu.txt)")
    return make_mesh(1, 2, 2, devices_of("v5e:2x2")[0])


def described(tree, mesh):
    return jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        tree,
        shardings(tree, mesh),
    )


def test_a_sharded_step_holds_the_kernel(mesh):
    objective = get_objective("grad_diff")
    schedule = make_schedule(peak=1e-3, steps=10, warmup=1, decay="constant")
    optimizer = make_optimizer("adamw", schedule)
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16),
        llava.abstract(CONFIG)["params"],
    )

    def adapter(key):
        return {"lora": init_lora(params, key, rank=8, targets="decoder/layers")}

    trainable = jax.eval_shape(adapter, jax.random.key(0))
    step = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(step, trainable, jax.eval_shape(optimizer.init, trainable))
    shapes = {
        **{name: ((ROWS, TOKENS), "int32") for name in ("tokens", "positions", "segments")},
        **{name: ((ROWS, SUPERVISED), "int32") for name in ("targets", "sources")},
        **{name: ((ROWS,), "float32") for name in ("weight", "forget")},
        "loss_mask": ((ROWS, TOKENS), "float32"),
        "answers": ((ROWS, ANSWERS), "int32"),
        "images": ((ROWS, 1, 28, 28, 3), "uint8"),
        "image_slots": ((ROWS, 1), "int32"),
        "image_extents": ((ROWS, 1, 2), "int32"),
    }
    split = NamedSharding(mesh, rows_spec(ROWS, mesh))
    batch = {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=split)
        for name, (shape, dtype) in shapes.items()
    }
    train = make_train_step(llava, CONFIG, objective, optimizer, schedule, mesh=mesh)
    frozen = described({"params": params}, mesh)
    compiled = train.lower(described(state, mesh), frozen, batch).compile()
    assert compiled.as_text().count('custom_call_target="tpu_custom_call"') >= 3
    assert compiled.memory_analysis().argument_size_in_bytes > 0


@pytest.mark.parametrize("width", [128, 256])
@pytest.mark.parametrize("plain, window", [(True, None), (True, 300), (False, 300)])
def test_the_kernel_alone_for_every_shape_that_takes_it(mesh, plain, window, width):
    tokens = 640  # no multiple of the longest block

    def total(q, k, v, places):
        structure = causal(places, places, plain=plain)
        return jnp.sum(attention(q, k, v, structure, window=window).astype(jnp.float32))

    def describe(shape, dtype, *axes):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, P(*axes)))

    q, k, v = (
        describe((2, tokens, heads, width), jnp.bfloat16, "fsdp", None, "tensor")
        for heads in (4, 2, 2)
    )
    places = describe((2, tokens), jnp.int32, "fsdp")
    with kernels_for(*kernels_on(mesh)):
        compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(q, k, v, places).compile()
    assert compiled.as_text().count('custom_call_target="tpu_custom_call"') == 3
    assert "all-gather" not in compiled.as_text()  # each device has its rows and heads
