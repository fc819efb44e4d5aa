"""What layers keep for the backward pass, and how a policy is chosen."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, make_pipeline

from mllm.models.decoder import Decoder, DecoderConfig
from mllm.ops.attention import causal
from mllm.studies import train
from mllm.training import remat

GB = 10**9


def compiled(peak: int):
    sizes = dict(argument_size_in_bytes=peak, temp_size_in_bytes=0)
    sizes |= dict(output_size_in_bytes=0, alias_size_in_bytes=0)
    return SimpleNamespace(memory_analysis=lambda: SimpleNamespace(**sizes))


def test_the_first_policy_that_fits_with_a_margin_is_taken():
    needs, seen = {"products": 100 * GB, "before_mlp": 93 * GB, "attention": 90 * GB}, []

    def compile_with(policy):
        seen.append(policy)
        if needs[policy] > 99 * GB:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
        return compiled(needs[policy])

    choice = remat.choose(compile_with, 100 * GB)
    assert (choice.policy, choice.peak) == ("attention", 90 * GB)
    assert seen == ["products", "before_mlp", "attention"]
    assert str(choice) == "remat 'attention' needs 90.00 GB of 100.00 GB a device"
    # What keeps nothing is taken without a look, because nothing needs less.
    assert remat.choose(compile_with, 10 * GB) == remat.Choice("nothing", None, 10 * GB)


def test_a_broken_compiler_is_no_answer():
    def compile_with(policy):
        raise jax.errors.JaxRuntimeError("INTERNAL: broken")

    with pytest.raises(jax.errors.JaxRuntimeError, match="broken"):
        remat.choose(compile_with, GB)


def test_auto_is_resolved_in_every_part_and_nothing_else_is():
    config = make_model(1).config
    assert not remat.is_auto(config)
    auto = replace(config, decoder=replace(config.decoder, remat="auto"))
    assert remat.is_auto(auto)
    found = remat.resolved(auto, "products")
    assert found == replace(config, decoder=replace(config.decoder, remat="products"))


def test_each_policy_keeps_the_bytes_that_its_names_say():
    rows, tokens, layers = 2, 64, 4
    c = DecoderConfig(
        vocab_size=8, width=32, layers=layers, heads=4, kv_heads=2, head_dim=16, mlp_width=96
    )
    places = jnp.broadcast_to(jnp.arange(tokens), (rows, tokens))
    x = jax.ShapeDtypeStruct((rows, tokens, c.width), jnp.float32)

    def kept(policy: str) -> int:
        model = Decoder(replace(c, remat=policy))
        structure = causal(places, places * 0)
        params = jax.eval_shape(model.init, jax.random.key(0), x, structure)

        def states(params, x):
            return model.apply(params, x, structure)[0]

        _, pull = jax.eval_shape(lambda p, x: jax.vjp(states, p, x), params, x)
        return sum(leaf.size * 4 for leaf in jax.tree.leaves(pull) if leaf.ndim > 2)

    heads = (c.heads + 2 * c.kv_heads) * c.head_dim
    least, mlp, most = (kept(policy) for policy in ("nothing", "before_mlp", "products"))
    numbers = 4 * rows * tokens * layers
    attention = kept("attention") - least
    assert attention in (0, numbers * c.heads * c.head_dim)  # kept by implementations that name it
    assert mlp - least - attention == numbers * (heads + c.width)
    assert most - mlp == numbers * 2 * c.mlp_width


def test_a_run_says_what_was_chosen_and_keeps_it(monkeypatch):
    pipeline, lowered, record = make_pipeline(make_model(1)), [], {}
    run = SimpleNamespace(method="ga", record=lambda: record)
    run.write = lambda status, **values: record.update(values)

    def make(policy):
        def lower(first, frozen, batch):
            lowered.append((policy, batch["tokens"].shape[1], batch["targets"].shape[1]))
            return SimpleNamespace(compile=lambda: compiled(50 if policy == "products" else 5))

        return SimpleNamespace(lower=lower)

    monkeypatch.setattr(train, "memory_of_device", lambda device: 10)
    mesh = train.device_mesh(SimpleNamespace(mesh={}))
    assert train.chosen_policy(run, make, None, {}, pipeline, mesh) == "before_mlp"
    shape = pipeline.shape
    sizes = shape.tokens, shape.supervised
    assert lowered == [("products", *sizes), ("before_mlp", *sizes)]
    assert record["remat"] == {"policy": "before_mlp", "peak": 5, "memory": 10}
    assert train.chosen_policy(run, make, None, {}, pipeline, mesh) == "before_mlp"
    assert len(lowered) == 2


def test_the_largest_batch_has_the_whole_capacity():
    pipeline = make_pipeline(make_model(1))
    first, grown = pipeline.batch_at(0), train.largest_batch(pipeline)
    assert grown["tokens"].shape == (pipeline.rows, pipeline.shape.tokens)
    assert grown["loss_mask"].dtype == np.float32
    assert jax.tree.structure(first) == jax.tree.structure(grown)
