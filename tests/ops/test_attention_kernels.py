"""Which implementation is taken, and that each is given what makes it equal to float64 loops."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mllm.data.packing import RowShape, collate, pack
from mllm.models import llava, multimodal
from mllm.ops import attention as room
from mllm.ops.attention import (
    IMPLEMENTATIONS,
    attention,
    causal,
    choose,
    cudnn_attention,
    every_query_sees,
    kernels_for,
    masked_attention,
    masked_splash,
)
from mllm.ops.splash import splash_attention
from tests.ops.test_attention import attend_in_loops, draw
from tests.toy import make_model, tokenized


def padded(lengths, tokens, *, plain=True):
    """The structure of rows of one branch after a shared prefix of two tokens."""
    places = np.tile(np.arange(tokens, dtype=np.int32), (len(lengths), 1))
    segments = np.where(places < 2, 0, 1).astype(np.int32)
    segments[places >= np.asarray(lengths)[:, None]] = -1
    return causal(jnp.asarray(places), jnp.asarray(segments), plain=plain)


@pytest.mark.parametrize(
    "platform, tokens, keys, width, dtype, plain, expected",
    [
        ("cpu", 1024, 1024, 128, "bfloat16", True, "xla"),
        ("gpu", 1024, 1024, 128, "bfloat16", True, "cudnn"),
        ("gpu", 1024, 1024, 64, "float16", True, "cudnn"),
        ("gpu", 1024, 1024, 128, "bfloat16", False, "flash"),
        ("gpu", 1000, 1000, 80, "float16", False, "flash"),
        ("gpu", 1024, 1024, 256, "bfloat16", True, "flash"),
        ("gpu", 1024, 1024, 128, "float32", False, "xla"),
        ("gpu", 1024, 1024, 100, "bfloat16", False, "xla"),
        ("gpu", 1024, 1024, 320, "bfloat16", True, "xla"),
        ("gpu", 1, 1024, 128, "bfloat16", False, "xla"),
        ("small gpu", 1024, 1024, 128, "bfloat16", True, "cudnn"),
        ("small gpu", 1024, 1024, 128, "bfloat16", False, "flash"),
        ("small gpu", 1024, 1024, 160, "bfloat16", False, "xla"),
        ("gpu", 128, 128, 128, "bfloat16", True, "xla"),
        ("tpu", 1024, 1024, 128, "bfloat16", True, "splash"),
        ("tpu", 1024, 1024, 128, "float32", False, "splash"),
        ("tpu", 1000, 1000, 256, "bfloat16", False, "splash"),
        ("tpu", 1024, 1024, 64, "bfloat16", True, "xla"),
        ("tpu", 128, 128, 128, "bfloat16", True, "xla"),
        ("tpu", 1, 1024, 128, "bfloat16", False, "xla"),
    ],
)
def test_choose(platform, tokens, keys, width, dtype, plain, expected):
    q = jax.ShapeDtypeStruct((2, tokens, 4, width), dtype)
    k = jax.ShapeDtypeStruct((2, keys, 2, width), dtype)
    assert choose(platform, q, k, padded([9, 5], keys, plain=plain)) == expected


def test_a_tower_takes_the_flash_kernel_only_where_it_has_padding():
    q = jax.ShapeDtypeStruct((2, 576, 16, 64), jnp.bfloat16)
    ragged = every_query_sees(jnp.ones((2, 576), bool), 576)
    assert [choose(name, q, q, None) for name in ("gpu", "tpu")] == ["xla", "xla"]
    assert [choose(name, q, q, ragged) for name in ("gpu", "tpu")] == ["flash", "xla"]


def test_an_implementation_is_forced_where_a_kernel_could_be_chosen():
    taken = []

    def attend(tokens, keys, impl=None):
        q = jax.ShapeDtypeStruct((1, tokens, 2, 128), jnp.bfloat16)
        k = jax.ShapeDtypeStruct((1, keys, 2, 128), jnp.bfloat16)
        structure = padded([200], keys)
        taken.append(choose("gpu", q, k, structure, impl))

    attend(256, 256), attend(256, 256, "xla"), attend(128, 128, "flash"), attend(1, 256, "flash")
    assert taken == ["cudnn", "xla", "xla", "xla"]
    message = r"unknown attention implementation 'flesh'; did you mean 'flash'\?"
    with pytest.raises(ValueError, match=message), kernels_for("gpu", None, "flesh"):
        pass


@pytest.mark.thorough
@pytest.mark.parametrize("window", [None, 1, 3])
@pytest.mark.parametrize("attend", ["cudnn", "splash"])
def test_plain_rows_equal_loops_and_the_reference(attend, window, monkeypatch):
    """The arguments for cuDNN go through XLA's implementation of them, the TPU kernel is
    interpreted.
    """
    monkeypatch.setattr(room, "splash_attention", partial(splash_attention, interpret=True))
    kernel = {
        "cudnn": partial(cudnn_attention, implementation="xla"),
        "splash": masked_splash,
    }[attend]
    lengths = np.array([10, 6, 0])
    structure = padded(lengths, 10)
    real = np.arange(10) < lengths[:, None]
    q, k, v = draw(7, 3, 10, 10, 4, 2, 128)
    weights = np.random.default_rng(8).normal(size=q.shape) * real[:, :, None, None]

    def may_see(b, t, s):
        return s <= t and (window is None or s > t - window)

    found = np.asarray(kernel(q, k, v, structure, window=window))
    np.testing.assert_allclose(found[real], attend_in_loops(q, k, v, may_see)[real], atol=3e-6)

    def total(attend, q, k, v):
        return jnp.sum(attend(q, k, v, structure, window=window) * weights)

    ours, expected = (
        jax.grad(partial(total, attend), argnums=(0, 1, 2))(q, k, v)
        for attend in (kernel, masked_attention)
    )
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_what_is_traced_for_a_platform_takes_its_kernel(monkeypatch):
    taken = []

    def kernel(q, k, v, structure, *, window):
        taken.append(window)
        return masked_attention(q, k, v, structure, window=window)

    monkeypatch.setitem(IMPLEMENTATIONS, "splash", kernel)
    q, k, v = (jax.ShapeDtypeStruct((1, 256, 2, 128), jnp.float32) for _ in "qkv")
    structure = padded([200], 256)

    def attend(q, k, v):
        return attention(q, k, v, structure, window=5)

    jax.eval_shape(attend, q, k, v)
    assert taken == []
    with kernels_for("tpu"):
        jax.eval_shape(lambda *a: attend(*a), q, k, v)
    assert taken == [5]
    jax.eval_shape(lambda *a: attend(*a), q, k, v)
    assert taken == [5]


@pytest.mark.parametrize("loss_on", ["answer", "all"])
@pytest.mark.parametrize("answers", [1, 3])
def test_a_model_calls_rows_of_one_answer_plain_and_so_they_are(answers, loss_on, monkeypatch):
    shape = RowShape(tokens=16, supervised=16, answers=answers, loss_on=loss_on)
    examples = [tokenized(i, (1, 9), (5,) * (i + 1), (6, 7)) for i in range(3)]
    batch = collate(pack(examples, shape), 4, shape)
    model, called = make_model(), []

    def spy(positions, segments, *, plain):
        called.append(plain)
        return causal(positions, segments, plain=plain)

    monkeypatch.setattr(multimodal, "causal", spy)
    jax.eval_shape(lambda batch: llava.hidden(model.config, model.variables, batch), batch)
    assert called == [answers == 1]
    real = batch["segments"] >= 0
    assert (real[:, :-1] >= real[:, 1:]).all()  # padding is at the right
    in_order = np.tril(np.ones((16, 16), bool)) & real[:, None, :]
    seen = np.asarray(causal(batch["positions"], batch["segments"]).mask())
    assert (seen == in_order)[real].all() == (answers == 1)


@pytest.mark.parametrize("window", [None, 3])
def test_rows_with_branches_through_cudnn_equal_the_reference(window):
    """The arguments for cuDNN go through XLA's implementation of them."""
    positions, segments = (
        jnp.array([[0, 1, 2, 3, 2, 3, 4, 0]]),
        jnp.array([[0, 0, 1, 1, 2, 2, 2, -1]]),
    )
    structure = causal(positions, segments)
    q, k, v = draw(3, 1, 8, 8, 4, 2, 16)
    attend = partial(cudnn_attention, structure=structure, window=window, implementation="xla")
    if jax.__version_info__ < (0, 11, 1):
        with pytest.raises(ValueError, match=r"needs jax 0.11.1, found .*: use 'flash' or 'xla'"):
            attend(q, k, v)
        return
    expected = masked_attention(q, k, v, structure, window=window)
    np.testing.assert_allclose(attend(q, k, v)[:, :7], expected[:, :7], atol=2e-6)


@pytest.mark.skipif(jax.default_backend() != "gpu", reason="needs a GPU: JAX_PLATFORMS=cuda")
@pytest.mark.parametrize("kernel", ["cudnn", "flash"])
@pytest.mark.parametrize("window", [None, 100])
def test_equals_the_reference_on_a_gpu(window, kernel):
    q, k, v = (x.astype(jnp.bfloat16) for x in draw(9, 3, 512, 512, 4, 2, 128))
    lengths = np.array([512, 300, 0])
    structure = padded(lengths, 512)
    real = jnp.asarray(np.arange(512) < lengths[:, None])[:, :, None, None]

    def total(impl, q, k, v):
        found = attention(q, k, v, structure, window=window, impl=impl)
        return jnp.sum(jnp.where(real, found.astype(jnp.float32), 0) ** 2)

    for one, other in zip(
        *(jax.grad(partial(total, impl), argnums=(0, 1, 2))(q, k, v) for impl in (kernel, "xla")),
        strict=True,
    ):
        one, other = (np.asarray(x, np.float32) for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=0.02, atol=0.05)
