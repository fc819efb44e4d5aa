"""Operations and bytes of programs whose numbers are known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from mllm.parallel.mesh import make_mesh
from mllm.parallel.program import collectives_of, flops_of, memory_of

N, D, LAYERS = 8, 16, 5


def stack(weights, x):
    return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0].sum()


WEIGHTS, X = np.ones((LAYERS, D, D), np.float32), np.ones((N, D), np.float32)


def test_a_scan_counts_as_often_as_it_runs():
    assert flops_of(stack, WEIGHTS, X) == LAYERS * 2 * N * D * D


def test_a_gradient_counts_three_products_and_four_where_it_computes_again():
    once = LAYERS * 2 * N * D * D

    def again(weights, x):
        step = jax.checkpoint(lambda x, w: (jnp.tanh(jnp.tanh(x @ w)), None))
        return jax.lax.scan(step, x, weights)[0].sum()

    both = jax.grad(stack, argnums=(0, 1)), jax.grad(again, argnums=(0, 1))
    assert [flops_of(f, WEIGHTS, X) / once for f in both] == [3, 4]


def test_a_frozen_weight_costs_no_gradient():
    once = LAYERS * 2 * N * D * D
    assert flops_of(jax.grad(stack, argnums=1), WEIGHTS, X) == 2 * once


def test_a_loop_counts_as_often_as_its_counter_allows():
    def written(weight, x):
        state = 0, x
        unfinished = lambda state: (state[0] < 50) & ~jnp.all(state[1] > 9)  # noqa: E731
        return jax.lax.while_loop(unfinished, lambda s: (s[0] + 1, s[1] @ weight), state)[1]

    assert flops_of(written, WEIGHTS[0], X) == 50 * 2 * N * D * D


def test_collectives_in_a_loop_count_as_often_as_it_runs():
    mesh = make_mesh(1, 8, 1)
    rows = NamedSharding(mesh, P(None, "fsdp"))

    def summed(w, x):
        def step(x, w):
            # Both sides are split along what is summed: every turn adds up [N, D] of all devices.
            y = jax.lax.with_sharding_constraint(x @ w, NamedSharding(mesh, P()))
            return jax.lax.with_sharding_constraint(jnp.tanh(y), rows), None

        return jax.lax.scan(step, x, w)[0]

    split = NamedSharding(mesh, P(None, "fsdp", None))
    w = jax.ShapeDtypeStruct(WEIGHTS.shape, jnp.float32, sharding=split)
    x = jax.ShapeDtypeStruct(X.shape, jnp.float32, sharding=rows)
    compiled = jax.jit(summed).lower(w, x).compile()
    assert collectives_of(compiled.as_text()) == {"all-reduce": LAYERS * N * D * 4}
    memory = memory_of(compiled)
    assert memory["arguments"] == (WEIGHTS.nbytes + X.nbytes) / 8
    assert memory["peak"] >= memory["arguments"]


TEXT = """
%body (p: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %i = s32[] get-tuple-element(%p), index=0
  %two = s32[]{:T(128)} constant(2)
  %next = s32[]{:T(128)} add(%i, %two)
  %g = (bf16[1,8]{1,0}, bf16[4,8]{1,0}) all-gather-start(%x), dimensions={0}
  %d = bf16[4,8]{1,0} all-gather-done(%g)
  ROOT %t = (s32[], bf16[4,8]) tuple(%next, %d)
}
%condition (p: (s32[], bf16[4,8])) -> pred[] {
  %j = s32[] get-tuple-element(%p), index=0
  %limit = s32[]{:T(128)} constant(14)
  ROOT %lt = pred[] compare(%j, %limit), direction=LT
}
ENTRY %main (x: bf16[4,8]) -> bf16[4,8] {
  %w = (s32[], bf16[4,8]) while(%t), condition=%condition, body=%body
  ROOT %r = (f32[16]{0}, f32[2]{0}) all-reduce(%a, %b), to_apply=%sum
}
"""


def test_a_loop_without_a_noted_count_is_read_from_its_condition_and_its_step():
    assert collectives_of(TEXT) == {"all-gather": 7 * 4 * 8 * 2, "all-reduce": 18 * 4}
