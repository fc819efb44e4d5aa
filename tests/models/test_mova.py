"""MoVA's fusion: a base map that reads chosen experts."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from fusion_loops import bilinear, gelu, in_float64, layer_norm, linear, of_layer, silu, softmax
from scipy import ndimage

from mllm.models import config_from_dict
from mllm.models.mova import GROUP, Mova, MovaConfig, rotations

NAMES = ("base", "colour", "edges", "unread")
SHAPES = {"base": (16, 16), "colour": (4, 6), "edges": (16, 8), "unread": (4, 4)}
CONFIG = MovaConfig(
    "base", 4, 16, 2, 20, layers=2, experts=("colour", "edges"), top=2, remat="nothing"
)


def draw(seed: int = 0) -> tuple[dict, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    views = {n: rng.normal(size=(2, *SHAPES[n])).astype(np.float32) for n in NAMES}
    return views, rng.normal(size=(2, 6, 10)).astype(np.float32), np.ones((2, 6), bool)


@partial(jax.jit, static_argnums=(0, 1))
def init(config, names=NAMES):
    views, embedded, real = draw()
    views = {n: views[n] for n in names}
    return Mova(config, names).init(jax.random.key(0), views, embedded, real)["params"]


@partial(jax.jit, static_argnums=(0, 1))
def _apply(config, names, params, views, embedded, real):
    return Mova(config, names).apply({"params": params}, views, embedded, real)


def run(config, params, drawn, names=NAMES):
    views, embedded, real = drawn
    return _apply(config, names, params, {n: views[n] for n in names}, embedded, real)


def weights_of(config):
    """Parameters that are random throughout."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: init(config))
    return jax.tree.map(lambda x: rng.normal(0, 0.4, x.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def params():
    return weights_of(CONFIG)


def turned(x, side):
    """Rotate each head's pairs (i, i + C / 2) by row and by column."""
    found, half = x.copy(), x.shape[1] // 2
    rates = [10_000 ** -(2 * k / half) for k in range(half // 2)]
    for place in range(len(x)):
        for pair in range(half):
            where = place // side if pair < half // 2 else place % side
            angle = where * rates[pair % (half // 2)]
            one, other = x[place, pair], x[place, pair + half]
            found[place, pair] = one * np.cos(angle) - other * np.sin(angle)
            found[place, pair + half] = other * np.cos(angle) + one * np.sin(angle)
    return found


def reading(x, tokens, leaf, heads):
    side, width = round(len(x) ** 0.5), x.shape[1] // heads
    q, k, v = linear(x, leaf["q"]), linear(tokens, leaf["k"]), linear(tokens, leaf["v"])
    found = np.zeros_like(q)
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        query, key = turned(q[:, part], side), turned(k[:, part], side)
        for i in range(len(x)):
            found[i, part] = softmax(key @ query[i] / np.sqrt(width)) @ v[:, part]
    return linear(layer_norm(found, leaf["inner_norm"]), leaf["o"])


def stage(x, leaf):
    side, width = round(len(x) ** 0.5), x.shape[1]
    norm = partial(layer_norm, eps=1e-6)
    h = silu(norm(linear(x, leaf["first"]), leaf["first_norm"])).reshape(side, side, width)
    mixed = np.zeros_like(h)
    for out in range(width):
        first = out // GROUP * GROUP
        for n in range(GROUP):
            kernel = leaf["mix"][:, :, n, out]
            mixed[..., out] += ndimage.correlate(h[..., first + n], kernel, mode="constant")
    h = silu(norm(mixed.reshape(-1, width), leaf["mix_norm"]))
    squeezed = silu(linear(h.mean(0), leaf["squeeze"]))
    h = h / (1 + np.exp(-linear(squeezed, leaf["excite"])))
    return x + norm(linear(h, leaf["last"]), leaf["last_norm"])


@pytest.mark.parametrize("top", [1, 2])
def test_it_equals_loops_over_the_formulas(params, top):
    config, drawn = replace(CONFIG, top=top), draw()
    found, tree = run(config, params, drawn), in_float64(params)
    for number in range(2):
        views = {n: drawn[0][n][number].astype(np.float64) for n in NAMES}
        sentence = layer_norm(drawn[1][number].astype(np.float64).mean(0), tree["sentence"]["norm"])
        maps = {n: bilinear(views[n], 4) for n in config.experts}
        x = views["base"] + tree["position"]
        for depth in range(config.layers):
            layer = of_layer(tree["layers"], depth)
            choice = layer["choice"]
            h = gelu(linear(sentence, choice["text"]) + linear(x.mean(0), choice["view_base"]))
            gates = softmax(np.array([linear(h, choice[f"score_{n}"])[0] for n in config.experts]))
            gates[np.argsort(gates)[: 2 - top]] = 0
            gates = gates / gates.sum()
            np.testing.assert_allclose(found.gates[number, depth], [0, *gates, 0], atol=1e-5)
            reads = [
                reading(
                    layer_norm(x, layer[f"own_norm_{n}"]),
                    layer_norm(maps[n], layer[f"norm_{n}"]),
                    layer[f"read_{n}"],
                    config.heads,
                )
                for n in config.experts
            ]
            x = x + sum(g * read for g, read in zip(gates, reads, strict=True))
            h = layer_norm(x, layer["attention_norm"])
            x = x + reading(h, h, layer["read_itself"], config.heads)
            h = layer_norm(x, layer["mlp_norm"])
            inner = silu(linear(h, layer["gate"])) * linear(h, layer["up"])
            x = x + linear(layer_norm(inner, layer["inner_norm"]), layer["down"])
        x = stage((x + views["base"]) / 2, tree["before"])
        x = x.reshape(2, 2, 2, 2, -1).mean((1, 3)).reshape(4, -1)
        np.testing.assert_allclose(found.tokens[number], stage(x, tree["after"]), atol=1e-4)


def test_at_the_start_it_is_the_base_map_pooled():
    drawn = draw()
    found = run(CONFIG, init(CONFIG), drawn)
    base = drawn[0]["base"].reshape(2, 2, 2, 2, 2, 16).mean((2, 4)).reshape(2, 4, 16)
    np.testing.assert_allclose(found.tokens, base, atol=1e-6)
    np.testing.assert_allclose(found.gates, np.tile([0, 0.5, 0.5, 0], (2, 2, 1)), atol=1e-6)


def test_only_experts_are_read_and_padding_is_not(params):
    views, *rest = draw()
    found = run(CONFIG, params, (views, *rest))
    other = run(CONFIG, params, (views | {"unread": views["unread"] + 1}, *rest))
    np.testing.assert_array_equal(other.tokens, found.tokens)
    for name in NAMES:
        np.testing.assert_allclose(found.attention[name].sum(-1), 1, atol=1e-5)
    empty = views | {"edges": views["edges"] * (np.arange(16) < 12)[:, None]}
    seen = run(CONFIG, params, (empty, *rest)).attention["edges"]
    assert not seen[..., 12:].any() and seen[..., :12].all()


def test_the_order_of_encoders_does_not_matter(params):
    drawn, order = draw(), (3, 2, 0, 1)
    found = run(CONFIG, params, drawn)
    other = run(CONFIG, params, drawn, tuple(NAMES[n] for n in order))
    np.testing.assert_allclose(other.tokens, found.tokens, atol=1e-5)
    np.testing.assert_allclose(other.gates, found.gates[..., list(order)], atol=1e-6)


def test_a_base_without_experts_works():
    config, drawn = replace(CONFIG, experts=()), draw()
    found = run(config, init(config, ("base",)), drawn, ("base",))
    assert found.tokens.shape == (2, 4, 16)
    np.testing.assert_array_equal(found.gates, np.ones((2, 2, 1)))


def test_rotations_depend_on_distances_alone():
    cos, sin = rotations(3, 8)
    assert cos.shape == sin.shape == (1, 9, 4)
    np.testing.assert_allclose(cos[0, 5], np.cos([1, 0.01, 2, 0.02]), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "vit"}, "fusion names the encoders vit, but there are semantics"),
        ({"experts": ["edges"]}, "fusion names the encoders edges, but there are semantics"),
        ({"width": 8}, "fusion.width is 8, expected 16, that of 'semantics'"),
        ({"queries": 9}, "the grid of 2 x 2 of 'semantics' cannot be pooled to it"),
        ({"heads": 8}, "heads of fusion are 2 wide, expected a multiple of 4"),
        ({"top": 0}, "fusion.top is 0, expected at least 1"),
    ],
)
def test_mistakes_are_named(change, message):
    tower = dict(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=24)
    values = dict(
        family="fused",
        decoder=dict(vocab_size=9, width=8, layers=1, heads=1, kv_heads=1, head_dim=8, mlp_width=8),
        vision=dict(image_size=16, encoders={"semantics": dict(kind="colour", tower=tower)}),
        fusion=dict(kind="mova", base="semantics", queries=4, width=16, heads=2, mlp_width=8),
        projector=dict(mlp_width=8, width=8),
    )
    config_from_dict(values)
    with pytest.raises(ValueError, match=message):
        config_from_dict(values | {"fusion": values["fusion"] | change})
