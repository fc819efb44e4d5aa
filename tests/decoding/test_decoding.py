"""Cached, batched, branched decoding against the slowest way: one row at a time, no cache, from the
start each time.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from mllm.decoding.generate import generate, score_and_generate
from mllm.decoding.prefix import prefill
from mllm.decoding.score import score_choices
from mllm.evaluation.branching import lay_out_choices
from mllm.models import llava
from mllm.models.decoder import DecoderConfig
from mllm.models.llava import LlavaConfig
from mllm.models.projector import ProjectorConfig
from mllm.models.vit import VisionConfig

CONFIG = LlavaConfig(
    DecoderConfig(vocab_size=23, width=32, layers=2, heads=4, kv_heads=2, head_dim=8, mlp_width=48),
    VisionConfig(image_size=16, patch_size=8, width=16, layers=1, heads=2, mlp_width=32),
    ProjectorConfig(mlp_width=32, width=32),
)
EOS, NEW = 2, 12
WHOLE = 32  # tokens, more than prefix, question and reply have


@pytest.fixture(scope="module")
def variables():
    # Larger than initial weights: greedy choices are clear, and rows end at different steps.
    return jax.tree.map(lambda x: x * 3 if x.ndim > 1 else x, llava.init(CONFIG, jax.random.key(1)))


@pytest.fixture(scope="module")
def prompts():
    """Two images with prefixes of unlike length, and six questions about them."""
    rng = np.random.default_rng(0)
    prefixes = [[1, 5, 3, 3, 3, 3], [1, 3, 3, 3, 3, 9, 8, 7]]
    images = rng.integers(0, 256, (2, 1, 16, 16, 3)).astype(np.uint8)
    questions = [rng.integers(4, 23, n).tolist() for n in (1, 5, 3, 7, 2, 4)]
    return prefixes, images, questions, np.array([0, 0, 0, 1, 1, 1], np.int32)


@jax.jit
def whole_row(variables, batch):
    """Logits float[T, V] of one row, computed without a cache."""
    states, _ = llava.hidden(CONFIG, variables, batch)
    return states[0] @ llava.head(CONFIG, variables)


def logits(variables, prefix: list[int], image: np.ndarray, rest: list[int]) -> np.ndarray:
    """All logits float[T, V] of one whole row; padding at the end keeps it to one program."""
    ids = np.array(prefix + rest, np.int32)
    padding = (0, WHOLE - len(ids))
    batch = {
        "tokens": np.pad(ids, padding)[None],
        "positions": np.pad(np.arange(len(ids), dtype=np.int32), padding)[None],
        "segments": np.pad(np.zeros_like(ids), padding, constant_values=-1)[None],
        "media": {"image": {"values": image[None], "slots": np.array([[prefix.index(3)]])}},
    }
    return np.asarray(whole_row(variables, batch))[: len(ids)]


def make_prefix(variables, prompts):
    prefixes, images, _, _ = prompts
    width = max(map(len, prefixes)) + 2
    tokens, segments = np.zeros((2, width), np.int32), np.full((2, width), -1, np.int32)
    for i, ids in enumerate(prefixes):
        tokens[i, : len(ids)], segments[i, : len(ids)] = ids, 0
    batch = {
        "tokens": tokens,
        "positions": np.tile(np.arange(width, dtype=np.int32), (2, 1)),
        "segments": segments,
        "media": {
            "image": {"values": images, "slots": np.array([[ids.index(3)] for ids in prefixes])}
        },
    }
    return prefill(llava, CONFIG, variables, batch)[0]


def padded(questions: list[list[int]], width: int):
    tokens = np.zeros((len(questions), width), np.int32)
    for i, ids in enumerate(questions):
        tokens[i, : len(ids)] = ids
    return jnp.asarray(tokens), jnp.asarray([len(q) for q in questions], jnp.int32)


def run(variables, prefix, questions, width=8):
    tokens, lengths = padded(questions, width)
    out, ended, finite = generate(
        llava, CONFIG, variables, prefix, tokens, lengths, max_new_tokens=NEW, ends=(EOS,)
    )
    assert np.asarray(finite).all()
    return np.asarray(out), np.asarray(ended)


def uncached(variables, prefix, image, question) -> list[int]:
    found: list[int] = []
    while len(found) < NEW and (not found or found[-1] != EOS):
        found.append(int(logits(variables, prefix, image, question + found)[-1].argmax()))
    return found


@pytest.mark.thorough
def test_cached_generation_equals_uncached_row_by_row(variables, prompts):
    prefixes, images, questions, groups = prompts
    out, ended = run(variables, make_prefix(variables, prompts), questions)
    lengths = set()
    for i, (question, group) in enumerate(zip(questions, groups, strict=True)):
        expected = uncached(variables, prefixes[group], images[group], question)
        assert out[i, : len(expected)].tolist() == expected
        assert (out[i, len(expected) :] == EOS).all()
        assert ended[i] == (expected[-1] == EOS)
        lengths.add(len(expected))
    assert len(lengths) > 1, "rows end together: the test would not see a lost `done`"


def test_batch_size_and_padding_change_no_reply(variables, prompts):
    _, _, questions, _ = prompts
    prefix = make_prefix(variables, prompts)
    together, _ = run(variables, prefix, questions, width=16)
    for i in range(len(questions) // 2):
        alone, _ = run(variables, prefix, questions[i::3])  # one question a node
        np.testing.assert_array_equal(alone, together[i::3])


@pytest.mark.thorough
def test_any_end_token_ends_a_row_and_no_barred_token_is_chosen(variables, prompts):
    prefixes, images, questions, groups = prompts
    prefix, (tokens, lengths) = make_prefix(variables, prompts), padded(questions, 8)

    def reply(**options):
        limits = {"max_new_tokens": NEW, **options}
        found = generate(llava, CONFIG, variables, prefix, tokens, lengths, **limits)
        return [np.asarray(values).tolist() for values in found[:2]]

    free, _ = reply(ends=(-1,))
    ends = (EOS, free[0][2], free[1][1])
    out, ended = reply(ends=ends)
    for row, whole, over in zip(out, free, ended, strict=True):
        first = next((i for i, token in enumerate(whole) if token in ends), NEW)
        assert over == (first < NEW)
        assert row == whole[: first + 1] + [EOS] * (NEW - first - 1)
    barred = (free[0][0], free[1][0])
    out, _ = reply(ends=(-1,), barred=barred)
    for row, question, group in zip(out, questions, groups, strict=True):
        for place, token in enumerate(row):
            row_logits = logits(variables, prefixes[group], images[group], question + row[:place])
            table = np.array(row_logits[-1])
            table[list(barred)] = -np.inf
            assert token == table.argmax()


def test_sampling_is_seeded_and_follows_the_distribution(variables, prompts):
    prefix = make_prefix(variables, prompts)
    question, group = prompts[2][1], 0
    tokens, lengths = padded([question] * 800, 8)  # the first half continues the first node
    temperatures = jnp.full(800, 4.0)

    def draw(first: int):
        seeds = first + jnp.arange(800, dtype=jnp.uint32)
        where = llava, CONFIG, variables, prefix, tokens, lengths, temperatures, seeds
        drawn, _, _ = generate(*where, max_new_tokens=2, ends=(EOS,))
        return np.asarray(drawn)[:400]

    first = draw(0)
    np.testing.assert_array_equal(draw(0), first)
    # A row draws by its own seed, whichever rows are beside it.
    np.testing.assert_array_equal(draw(10)[:390], first[10:])
    table = logits(variables, prompts[0][group], prompts[1][group], question)[-1] / 4
    expected = np.exp(log_softmax(table))
    draws = [first, *(draw(1000 * s) for s in range(1, 10))]
    counts = np.bincount(np.concatenate([d[:, 0] for d in draws]), minlength=23) / 4000
    np.testing.assert_allclose(counts, expected, atol=4 * np.sqrt(0.25 / 4000))
    # Steps draw anew: a second token is not the first one's draw again.
    assert 0.02 < np.mean(first[:, 0] == first[:, 1]) < 0.5


def test_choices_in_one_row_equal_choices_scored_alone(variables, prompts):
    prefixes, images, questions, groups = prompts
    rng = np.random.default_rng(3)
    choices = [
        [rng.integers(4, 23, rng.integers(1, 5)).tolist() for _ in range(rng.integers(2, 5))]
        for _ in questions
    ]
    batch = lay_out_choices(questions, choices)
    prefix = make_prefix(variables, prompts)
    scores = score_choices(llava, CONFIG, variables, prefix, batch)
    for i, (question, group, options) in enumerate(zip(questions, groups, choices, strict=True)):
        for j, choice in enumerate(options):
            whole = logits(variables, prefixes[group], images[group], question + choice)
            before = len(prefixes[group]) + len(question) - 1
            table = log_softmax(whole[before : before + len(choice)].astype("float64"), axis=-1)
            expected = table[np.arange(len(choice)), choice].sum()
            np.testing.assert_allclose(scores[i, j], expected, rtol=1e-5, atol=1e-5)
        assert (np.asarray(scores[i, len(options) :]) == 0).all()


def test_choices_and_replies_of_one_program_are_those_of_two(variables, prompts):
    _, _, questions, _ = prompts
    prefix, (tokens, lengths) = make_prefix(variables, prompts), padded(questions, 8)
    choices = [[[5, 6, 7], [9]], [[4]], [[8, 8]], [[5], [6], [7]], [[20, 21]], [[11]]]
    batch = lay_out_choices(questions, choices)
    where, limits = (llava, CONFIG, variables, prefix), {"max_new_tokens": NEW, "ends": (EOS,)}
    scores, *replies = score_and_generate(*where, batch, lengths, **limits)
    np.testing.assert_allclose(scores, score_choices(*where, batch), rtol=1e-5, atol=1e-5)
    for found, alone in zip(replies, generate(*where, tokens, lengths, **limits), strict=True):
        np.testing.assert_array_equal(found, alone)


def test_a_limit_ends_a_row_as_less_room_does(variables, prompts):
    _, _, questions, _ = prompts
    prefix, (tokens, lengths) = make_prefix(variables, prompts), padded(questions, 8)
    limits = np.array([3, 3, 12, 1, 5, 7], np.int32)
    free, _ = run(variables, prefix, questions)
    found = generate(
        *(llava, CONFIG, variables, prefix, tokens, lengths),
        limits=limits,
        max_new_tokens=NEW,
        ends=(EOS,),
    )
    out, ended, _ = map(np.asarray, found)
    for row, over, whole, limit in zip(out, ended, free, limits, strict=True):
        assert row.tolist() == [*whole[:limit], *[EOS] * (NEW - limit)]
        assert over == (EOS in whole[:limit])
