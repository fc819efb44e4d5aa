"""Several encoders as one: the fusion that an instruction guides, and its loss of balance."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusion_loops import fuse, in_float64

from mllm.models.fusion import Fusion, FusionConfig, balance_loss, resample

NAMES = ("colour", "edges", "objects")
SHAPES = {"colour": (4, 6), "edges": (9, 8), "objects": (1, 4)}
CONFIG = FusionConfig(queries=9, width=8, heads=2, mlp_width=12, bank=3, layers=2, remat="nothing")
WORDS = 6
PICTURES = 3


def draw(seed: int = 0, pictures: int = PICTURES) -> tuple[dict, np.ndarray]:
    """What the encoders see of some pictures, and embedded instructions."""
    rng = np.random.default_rng(seed)
    views = {n: rng.normal(size=(pictures, *SHAPES[n])).astype(np.float32) for n in NAMES}
    return views, rng.normal(size=(pictures, WORDS, 10)).astype(np.float32)


def weights_of(config: FusionConfig, names=NAMES) -> dict:
    """Parameters that are random throughout: at the start gates are 0, and norms 1."""
    views, embedded = draw()
    real = np.ones(embedded.shape[:2], bool)
    shapes = jax.eval_shape(Fusion(config, names).init, jax.random.key(0), views, embedded, real)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), shapes)["params"]


PARAMS = weights_of(CONFIG)


@partial(jax.jit, static_argnums=(0, 1))
def _apply(config, names, params, views, embedded, real):
    return Fusion(config, names).apply({"params": params}, views, embedded, real)


def run(config, views, embedded, real=None, names=NAMES, params=PARAMS):
    real = np.ones(embedded.shape[:2], bool) if real is None else real
    return _apply(config, names, params, {n: views[n] for n in names}, embedded, real)


def only(tree, name: str):
    """The parameters of a model that has the encoder ``name`` alone."""
    others = tuple(f"_{n}" for n in NAMES if n != name)
    if not isinstance(tree, dict):
        return tree
    return {key: only(value, name) for key, value in tree.items() if not key.endswith(others)}


GATED = replace(CONFIG, gate="vision", bank_on=False)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, gate="text", residual="encoder"),
        GATED,
        replace(CONFIG, gate="uniform", bank_on=False, residual="encoder"),
        replace(CONFIG, gate="fixed:edges"),
        replace(CONFIG, gate="joint"),
        replace(CONFIG, gate="joint", residual="encoder"),
    ],
    ids=lambda c: f"{c.gate} {c.residual} {'bank' if c.bank_on else 'plain'}",
)
def test_it_equals_loops_over_the_formulas(config):
    views, embedded = draw()
    found, params = run(config, views, embedded), in_float64(PARAMS)
    for number in range(PICTURES):
        one = {n: views[n][number].astype(np.float64) for n in NAMES}
        tokens, gates, bank = fuse(config, NAMES, params, one, embedded[number].astype(np.float64))
        np.testing.assert_allclose(found.tokens[number], tokens, atol=1e-5)
        np.testing.assert_allclose(found.gates[number], gates, atol=1e-5)
        np.testing.assert_allclose(found.bank[number], bank, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_on_one_encoder_is_the_model_of_that_encoder(name):
    views, embedded = draw()
    fixed = run(replace(CONFIG, gate=f"fixed:{name}"), views, embedded)
    alone = run(CONFIG, views, embedded, names=(name,), params=only(PARAMS, name))
    np.testing.assert_allclose(fixed.tokens, alone.tokens, atol=3e-6)
    np.testing.assert_array_equal(alone.gates, np.ones((PICTURES, CONFIG.layers, 1)))


def test_what_a_fixed_gate_hides_does_not_matter():
    config = replace(CONFIG, gate="fixed:edges")
    (views, embedded), (others, _) = draw(), draw(5)
    found = run(config, views, embedded).tokens
    np.testing.assert_array_equal(
        run(config, others | {"edges": views["edges"]}, embedded)[0], found
    )


@pytest.mark.parametrize("gate", ["text+vision", "joint"])
def test_the_order_of_encoders_does_not_matter(gate):
    views, embedded = draw()
    config, order = replace(CONFIG, gate=gate), [2, 0, 1]
    found = run(config, views, embedded)
    other = run(config, views, embedded, names=tuple(NAMES[n] for n in order))
    np.testing.assert_allclose(other.tokens, found.tokens, atol=1e-5)
    np.testing.assert_allclose(other.gates, found.gates[..., order], atol=1e-5)


def test_weights_sum_to_one():
    views, embedded = draw()
    for gate in ("text+vision", "joint"):
        found = run(replace(CONFIG, gate=gate), views, embedded)
        np.testing.assert_allclose(found.gates.sum(-1), 1, atol=1e-6)
        np.testing.assert_allclose(found.bank.sum(-1), 1, atol=1e-6)
        assert found.gates.shape == (PICTURES, CONFIG.layers, 3)
        for name, (count, _) in SHAPES.items():
            assert found.attention[name].shape == (PICTURES, CONFIG.layers, count)
            np.testing.assert_allclose(found.attention[name].sum(-1), 1, atol=1e-5)


def test_gates_are_equal_at_the_start():
    views, embedded = draw()
    real = np.ones(embedded.shape[:2], bool)
    init = jax.jit(Fusion(CONFIG, NAMES).init)
    params = init(jax.random.key(0), views, embedded, real)["params"]
    np.testing.assert_allclose(run(CONFIG, views, embedded, params=params).gates, 1 / 3, atol=1e-6)


def test_an_instruction_changes_queries_and_gates_and_nothing_without_them():
    views, embedded = draw(pictures=1)

    def jacobian(config):
        jacobians = jax.jit(jax.jacfwd(lambda e: run(config, views, e)[:3]))(embedded)
        return [float(np.abs(one).max()) for one in jacobians]

    tokens, gates, bank = jacobian(CONFIG)
    assert min(tokens, gates, bank) > 1e-3
    assert jacobian(GATED) == [0, 0, 0]


def test_every_subset_of_encoders_gives_as_many_tokens():
    views, embedded = draw()
    real = np.ones(embedded.shape[:2], bool)
    for names in ((NAMES[0],), NAMES[1:], NAMES[::-1]):
        seen = {n: views[n] for n in names}
        found, _ = jax.eval_shape(
            Fusion(CONFIG, names).init_with_output, jax.random.key(0), seen, embedded, real
        )
        assert found.tokens.shape == (PICTURES, CONFIG.queries, CONFIG.width)


@pytest.mark.parametrize("layers", [0, 1])
def test_padding_of_an_instruction_changes_nothing(layers):
    config = replace(CONFIG, sentence_layers=layers)
    params, (views, embedded) = weights_of(config), draw()
    found = run(config, views, embedded, params=params)
    longer = np.concatenate([embedded, np.full((PICTURES, 5, 10), 9, np.float32)], axis=1)
    real = np.tile(np.arange(WORDS + 5) < WORDS, (PICTURES, 1))
    other = run(config, views, longer, real, params=params)
    np.testing.assert_allclose(other.tokens, found.tokens, atol=1e-5)


def test_cells_that_show_nothing_are_as_if_they_were_not_there():
    views, embedded = draw()
    wide = np.zeros((PICTURES, 9, 6), np.float32)
    wide[:, [0, 1, 3, 4]] = views["colour"]  # a picture that fills 2 x 2 cells of 3 x 3
    found = run(CONFIG, views | {"colour": wide}, embedded)
    np.testing.assert_allclose(found.tokens, run(CONFIG, views, embedded).tokens, atol=1e-5)
    assert not found.attention["colour"][..., [2, 5, 6, 7, 8]].any()


def test_pictures_of_a_batch_do_not_see_each_other():
    views, embedded = draw()
    whole = run(CONFIG, views, embedded).tokens
    for number in range(PICTURES):
        part = slice(number, number + 1)
        one = run(CONFIG, {n: views[n][part] for n in NAMES}, embedded[part])
        np.testing.assert_allclose(one.tokens[0], whole[number], atol=1e-5)


def test_all_switches_have_the_same_parameters():
    shapes = jax.tree.map(jnp.shape, PARAMS)
    for changes in (
        dict(gate="text"),
        dict(gate="uniform", bank_on=False),
        dict(gate="fixed:colour", residual="encoder"),
        dict(gate="joint", residual="encoder"),
    ):
        assert jax.tree.map(jnp.shape, weights_of(replace(CONFIG, **changes))) == shapes


def test_mistakes_are_named():
    for changes, message in (
        (dict(gate="words"), "fusion.gate is 'words', expected one of text.vision"),
        (dict(residual="both"), "fusion.residual is 'both', expected one of query, encoder"),
        (dict(queries=8), "fusion.queries is 8, expected a square number"),
        (dict(width=6), "fusion.width is 6, expected a multiple of 4"),
        (dict(kind="mova"), "fusion.kind is 'mova', expected 'guided'"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(CONFIG, **changes)


def test_a_grid_grows_and_shrinks_by_its_centres():
    grid = np.arange(4.0).reshape(1, 4, 1)
    np.testing.assert_allclose(resample(grid, 4)[0, :, 0][:4], [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(resample(grid, 1), [[[1.5]]])


def test_balance_is_one_for_even_gates_and_the_number_of_encoders_for_one():
    rng = np.random.default_rng(0)
    gates, shown = rng.dirichlet(np.ones(3), (4, 2, 5)), rng.random((4, 2)) < 0.7
    wanted = np.mean([3 * np.square(gates[shown][:, layer].mean(0)).sum() for layer in range(5)])
    np.testing.assert_allclose(balance_loss(gates, shown), wanted, rtol=1e-6)
    even, one = np.full((2, 1, 4, 3), 1 / 3), np.eye(3)[np.zeros((2, 1, 4), int)]
    there = np.ones((2, 1))
    assert balance_loss(even, there) == pytest.approx(1)
    assert balance_loss(one, there) == pytest.approx(3)


def test_its_gradient_takes_weight_from_the_encoder_that_has_most():
    logits = jnp.array([2.0, 0.0, -1.0])
    slope = jax.grad(lambda x: balance_loss(jax.nn.softmax(x)[None, None], jnp.ones(1)))(logits)
    assert slope[0] > 0 > slope[2]
