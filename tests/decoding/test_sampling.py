"""Which tokens may be drawn against sets made by loops, draws against their frequencies, and
constrained and guided decoding against plain decoding and whole rows.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import chisquare

from mllm.decoding.generate import generate
from mllm.decoding.sampling import Pattern, Sampler, choose, guided, narrowed
from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig

ROWS, SIZE = 40, 37
CONFIG = LlavaConfig(
    DecoderConfig(vocab_size=23, width=16, layers=1, heads=2, kv_heads=1, head_dim=8, mlp_width=24),
    vision=None,
    projector=None,
)
PICTURE = Pattern(((20, 21), *[(8, 14)] * 4, (21, 22)))


def may_be_drawn(row: np.ndarray, top_k: int, top_p: float) -> set[int]:
    """The tokens that may be drawn, found one after the other from the likeliest down."""
    order = sorted(range(len(row)), key=lambda i: -row[i])
    order = order[: top_k or len(row)]
    likely = softmax(row[order].astype(np.float64))
    kept, held = [], 0.0
    for token, value in zip(order, likely, strict=True):
        if held >= top_p and top_p < 1:
            break
        kept.append(token)
        held += value
    return set(kept)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 2, (ROWS, SIZE)).astype(np.float32)


@pytest.mark.parametrize("filters", ["k", "p", "kp"])
def test_the_tokens_that_may_be_drawn_are_those_of_a_loop(logits, filters):
    rng = np.random.default_rng(1)
    top_k = np.array([0, 1, 5, SIZE, SIZE + 9] * (ROWS // 5), np.int32)
    top_p = rng.choice([0.01, 0.3, 0.9, 0.97, 1.0], ROWS).astype(np.float32)
    given = {"top_k": top_k} if "k" in filters else {}
    given |= {"top_p": top_p} if "p" in filters else {}
    found = np.asarray(narrowed(jnp.asarray(logits), **given))
    for row, kept, k, p in zip(logits, found, top_k, top_p, strict=True):
        expected = may_be_drawn(row, k if "k" in filters else 0, p if "p" in filters else 1.0)
        assert set(np.flatnonzero(np.isfinite(kept))) == expected
        assert kept[sorted(expected)].tolist() == row[sorted(expected)].tolist()


def test_equally_likely_tokens_stay_together_and_barred_ones_stay_out():
    row = jnp.asarray([[0.0, 3.0, 3.0, 1.0, -jnp.inf]])
    kept = np.isfinite(narrowed(row, jnp.asarray([1])))[0].tolist()
    assert kept == [False, True, True, False, False]
    kept = np.isfinite(narrowed(row, None, jnp.asarray([0.3])))[0].tolist()
    assert kept == [False, True, True, False, False]
    kept = np.isfinite(narrowed(row, jnp.asarray([0]), jnp.asarray([1.0])))[0].tolist()
    assert kept == [True] * 4 + [False]


def test_draws_have_the_probabilities_of_the_tokens_that_may_be_drawn(logits):
    row, count = logits[0], 4000
    temperature, top_k, top_p = 1.7, 9, 0.85
    may = sorted(may_be_drawn(row / temperature, top_k, top_p))
    expected = softmax((row[may] / temperature).astype(np.float64))
    assert 3 < len(may) < top_k
    full = lambda value: jnp.full(count, value)  # noqa: E731
    sampler = Sampler(full(temperature), jnp.arange(count, dtype=jnp.uint32), full(9), full(top_p))
    tokens = jnp.zeros((count, 3), jnp.int32)
    drawn = np.asarray(choose(jnp.tile(row, (count, 1)), tokens, 1, sampler))
    assert set(drawn) == set(may)
    counts = [int((drawn == token).sum()) for token in may]
    assert chisquare(counts, count * expected).pvalue > 0.01
    # A row draws by its own seed and step, whichever rows stand beside it.
    alone = Sampler(*(value[7:8] for value in sampler))
    assert choose(jnp.asarray(row)[None], tokens[:1], 1, alone).tolist() == [drawn[7]]
    again = np.asarray(choose(jnp.tile(row, (count, 1)), tokens, 2, sampler))
    assert 0.02 < np.mean(again == drawn) < 0.6


def test_filters_that_keep_all_change_no_draw(logits):
    table = jnp.asarray(logits)
    seeds, warm = jnp.arange(ROWS, dtype=jnp.uint32), jnp.full(ROWS, 0.8)
    tokens = jnp.zeros((ROWS, 1), jnp.int32)
    plain = choose(table, tokens, 0, Sampler(warm, seeds))
    neutral = Sampler(warm, seeds, jnp.zeros(ROWS, jnp.int32), jnp.ones(ROWS))
    np.testing.assert_array_equal(choose(table, tokens, 0, neutral), plain)
    # The published order of the draw, without this module.
    keys = [jax.random.fold_in(jax.random.key(seed), 0) for seed in range(ROWS)]
    draws = jax.vmap(jax.random.categorical)(jnp.stack(keys), table / warm[0])
    np.testing.assert_array_equal(plain, draws)


def test_guidance_is_its_formula(logits):
    pairs, scale = logits.astype(np.float64), 3.0
    asked, other = pairs[0::2], pairs[1::2]
    strength = jnp.full(ROWS, scale - 1)
    found = guided(jnp.asarray(logits), strength)
    np.testing.assert_allclose(found, other + scale * (asked - other), rtol=1e-5, atol=1e-5)
    alpha = 0.5
    found = guided(jnp.asarray(logits), jnp.full(ROWS, alpha))
    np.testing.assert_allclose(found, (1 + alpha) * asked - alpha * other, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(guided(jnp.asarray(logits), jnp.zeros(ROWS)), logits[0::2])


@pytest.fixture(scope="module")
def variables():
    return jax.tree.map(lambda x: x * 3 if x.ndim > 1 else x, llava.init(CONFIG, jax.random.key(3)))


def decode(variables, rows: list[list[int]], **options):
    """Tokens [R, 6] after rows of ids, greedily or as the options say."""
    tokens = np.zeros((len(rows), 8), np.int32)
    for place, ids in enumerate(rows):
        tokens[place, : len(ids)] = ids
    lengths = np.array([len(ids) for ids in rows], np.int32)
    limits = {"max_new_tokens": len(PICTURE), "ends": (-1,), **options}
    return np.asarray(generate(llava, CONFIG, variables, None, tokens, lengths, **limits)[0])


def test_a_pattern_is_never_broken(variables):
    rows = [[1, 5, 3], [1, 9]] * 100
    drawn = decode(
        variables,
        rows,
        temperatures=np.full(200, 5.0, np.float32),
        seeds=np.arange(200, dtype=np.uint32),
        top_p=np.linspace(0.1, 1, 200, dtype=np.float32),
        allowed=PICTURE,
    )
    assert (drawn[:, 0] == 20).all() and (drawn[:, -1] == 21).all()
    codes = drawn[:, 1:-1]
    assert codes.min() == 8 and codes.max() == 13 and len(np.unique(codes, axis=0)) > 50
    greedy = decode(variables, rows[:2], allowed=PICTURE)
    assert ((greedy[:, 1:-1] >= 8) & (greedy[:, 1:-1] < 14)).all()


def test_allowed_tokens_are_asked_what_was_chosen(variables):
    seen = decode(variables, [[1, 5, 3]], allowed=_TwiceTheSame())
    assert seen[0, 0] == seen[0, 1] and seen[0, 2] == seen[0, 3] and seen[0, 4] == seen[0, 5]
    assert decode(variables, [[1, 5, 3]])[0, 0] == seen[0, 0]
    assert decode(variables, [[1, 5, 3]]).tolist() != seen.tolist()


class _TwiceTheSame:
    def __call__(self, tokens, step, ids):
        last = jnp.take_along_axis(tokens, jnp.maximum(step - 1, 0)[None, None], axis=1)
        return (jnp.asarray(step) % 2 == 0) | (ids == last)


def test_guided_pairs_are_decoded_as_whole_rows_say(variables):
    pairs = [([1, 5, 3], [1, 3]), ([1, 9, 12, 4], [1, 4]), ([1, 7], [1, 8, 8, 8])]
    rows = [ids for pair in pairs for ids in pair]
    strength = np.repeat([2.0, 0.5, 0.0], 2).astype(np.float32)
    found = decode(variables, rows, guidance=strength)
    np.testing.assert_array_equal(found[0::2], found[1::2])
    for (asked, other), s, reply in zip(pairs, strength[0::2], found[0::2], strict=True):
        said: list[int] = []
        for token in reply.tolist():
            c, u = (next_logits(variables, ids + said) for ids in (asked, other))
            assert token == (c + s * (c - u)).argmax()
            said.append(token)
    alone = decode(variables, [pairs[2][0]])
    np.testing.assert_array_equal(found[4], alone[0])
    assert found[0].tolist() != decode(variables, [pairs[0][0]])[0].tolist()


def test_guidance_of_no_strength_is_plain_sampling(variables):
    asked = [[1, 5, 3], [1, 9, 12, 4], [1, 7], [1, 20]]
    rows = [ids for one in asked for ids in (one, [1, 6])]
    how = dict(allowed=PICTURE, top_k=np.full(8, 4, np.int32))
    warm, seeds = np.full(8, 2.0, np.float32), np.arange(8, dtype=np.uint32)
    none = np.zeros(8, np.float32)
    found = decode(variables, rows, temperatures=warm, seeds=seeds, guidance=none, **how)
    how["top_k"] = how["top_k"][:4]
    plain = decode(variables, asked, temperatures=warm[:4], seeds=seeds[0::2], **how)
    np.testing.assert_array_equal(found[0::2], plain)


def next_logits(variables, ids: list[int]) -> np.ndarray:
    """Float64 log-probabilities after ids, as one row without a cache."""
    tokens = np.array(ids, np.int32)
    batch = {"tokens": np.pad(tokens, (0, 16 - len(ids)))[None]}
    batch["positions"] = np.arange(16, dtype=np.int32)[None]
    batch["segments"] = np.where(batch["positions"] < len(ids), 0, -1).astype(np.int32)
    states = _hidden(variables, batch)
    return log_softmax(np.asarray(states[0, len(ids) - 1], np.float64))


@jax.jit
def _hidden(variables, batch):
    return llava.hidden(CONFIG, variables, batch)[0] @ llava.head(CONFIG, variables)
