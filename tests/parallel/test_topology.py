"""A step with the attention kernel is compiled for TPUs and GPUs that are not attached."""

import math

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from configs.bench import llava7b
from experiments.abstract import training_step
from mllm.ops.attention import attention, causal, kernels_for
from mllm.ops.cascade import Keys, cascade
from mllm.parallel.kernels import kernels_on
from mllm.parallel.mesh import make_mesh
from mllm.parallel.topology import compile_fast, devices_of

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def mesh():
    pytest.importorskip("libtpu", reason="compiling for a TPU needs libtpu (requirements-tpu.txt)")
    return make_mesh(1, 2, 2, devices_of("v5e:2x2")[0])


@pytest.fixture(scope="module")
def gpus():
    try:
        return make_mesh(1, 2, 2, devices_of("h100:4")[0])
    except ModuleNotFoundError as missing:
        pytest.skip(str(missing))


def wide(**rows):
    """Return the configuration of a small model with heads that kernels take."""
    config = llava7b.get_config("tiny")
    sizes = dict(vocab_size=256, width=256, kv_heads=2, head_dim=128, mlp_width=256)
    config.model.decoder.update(sizes, remat="nothing")
    config.model.projector.update(mlp_width=256, width=256)
    config.model.dtype = "bfloat16"
    config.rows.update(rows)
    config.methods.grad_diff.trainable = "lora"
    return config


@pytest.mark.slow
def test_a_sharded_step_holds_the_kernel(mesh):
    config = wide(tokens=256, supervised=64, answers=4)
    train, arguments = training_step(config, "grad_diff", mesh, 4)
    compiled = compile_fast(train.lower(*arguments), mesh.devices.flat[0])
    assert compiled.as_text().count('custom_call_target="tpu_custom_call"') >= 3
    holds_its_share(compiled, arguments)


@pytest.mark.parametrize(
    "answers, kernel, calls",
    [
        # forward, recomputed, and backward, in the layers' loops
        (1, "__cudnn$fmha", 3),
        (4, "__gpu$xla.gpu.triton", 4),  # backward in two
    ],
)
@pytest.mark.slow
def test_a_sharded_step_for_gpus_holds_the_kernel(gpus, answers, kernel, calls):
    config = wide(tokens=256, supervised=64, answers=answers)
    train, arguments = training_step(config, "grad_diff", gpus, 4)
    compiled = compile_fast(train.lower(*arguments), gpus.devices.flat[0])
    assert compiled.as_text().count(f'custom_call_target="{kernel}') == calls
    holds_its_share(compiled, arguments)


def holds_its_share(compiled, arguments):
    """Check that a device holds its share of weights, moments and rows, not the whole of them."""
    whole = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(arguments))
    shares = sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(arguments)
    )
    held = compiled.memory_analysis().argument_size_in_bytes
    assert shares < whole / 2 and 0.99 * shares <= held < 1.5 * shares


@pytest.mark.parametrize(
    "width, plain, window", [(128, True, None), (256, True, 300), (128, False, 300)]
)
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


@pytest.mark.parametrize(
    "width, groups, window",
    [
        pytest.param(64, 2, None, marks=pytest.mark.slow),
        (80, 4, 300),
        pytest.param(256, 4, 300, marks=pytest.mark.slow),
    ],
)
def test_the_flash_kernel_alone_for_every_width_that_takes_it(gpus, width, groups, window):
    def total(q, k, v, positions, segments):
        structure = causal(positions, segments)
        return jnp.sum(attention(q, k, v, structure, window=window).astype(jnp.float32))

    def describe(shape, dtype, *axes):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(gpus, P(*axes)))

    tokens = 640
    q, k, v = (
        describe((2, tokens, heads, width), jnp.bfloat16, "fsdp", None, "tensor")
        for heads in (4, groups, groups)
    )
    places = [describe((2, tokens), jnp.int32, "fsdp")] * 2
    with kernels_for(*kernels_on(gpus)):
        compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(q, k, v, *places).compile()
    text = compiled.as_text()
    assert text.count('custom_call_target="__gpu$xla.gpu.triton"') == 3
    assert "all-gather" not in text  # each device has its rows and heads
    scores = 4 * tokens * tokens * 2  # float32, of the heads of a device
    assert compiled.memory_analysis().temp_size_in_bytes < scores


def test_branches_below_a_long_prefix_keep_no_scores_on_gpus(gpus):
    rows, tokens, length, heads, width = 8, 64, 640, 4, 128

    def describe(shape, dtype, *axes):
        return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(gpus, P(*axes)))

    q = describe((rows, tokens, heads, width), jnp.bfloat16, "fsdp", None, "tensor")
    k = describe((2, length, heads, width), jnp.bfloat16, "fsdp", None, "tensor")
    asked, prefix = describe((rows, tokens), jnp.int32, "fsdp"), describe((2, length), jnp.int32)

    def attend(q, k, v, asked, prefix):
        return cascade(q, asked, asked, [Keys(k, v, prefix, prefix)])

    with kernels_for(*kernels_on(gpus)):
        compiled = jax.jit(attend).lower(q, k, k, asked, prefix).compile()
    assert compiled.as_text().count('custom_call_target="__gpu$xla.gpu.triton"') == 1
    scores = 4 * rows * tokens * length * heads // gpus.size
    assert compiled.memory_analysis().temp_size_in_bytes < scores
