"""Texts are compared by the cosine of their embeddings, however they are batched."""

import jax
import numpy as np
import pytest
from tiny_bert import write_bert

from mllm.checkpoints.text_encoder import find_minilm, read_text_encoder
from mllm.evaluation.embedding import TextSimilarity
from mllm.models.text_encoder import embed_texts

WORDS = ["a", "dark", "photo", "photos", "is", "the", "sky", "bright", "tilted", ".", "and"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("bert")
    write_bert(made)
    return made


def texts(count):
    draws = np.random.default_rng(0)
    return [" ".join(draws.choice(WORDS, draws.integers(0, 45))) for _ in range(count)]


def test_an_embedding_does_not_depend_on_the_texts_beside_it(folder):
    encoder = read_text_encoder(folder)
    written = texts(75)
    found = TextSimilarity(encoder).embed(written)
    single = TextSimilarity(encoder)
    some = [*range(6), *range(70, 75)]
    alone = [single.embed([written[number]]) for number in some]
    np.testing.assert_allclose(found[some], np.concatenate(alone), atol=1e-6)
    ids = np.asarray([encoder.tokenizer.encode(written[0]).ids])
    embed = jax.jit(embed_texts, static_argnums=0)
    unpadded = embed(encoder.config, encoder.variables, ids, np.ones(ids.shape, bool))
    np.testing.assert_allclose(found[:1], unpadded, atol=1e-6)


def test_similarity_is_the_cosine(folder):
    judge = TextSimilarity.read(folder)
    first, second = texts(6), texts(12)[6:]
    vectors = judge.embed(first).astype(np.float64), judge.embed(second).astype(np.float64)
    expected = vectors[0] @ vectors[1].T
    np.testing.assert_allclose(judge.similarity(first, second), np.diag(expected), atol=1e-6)
    np.testing.assert_allclose(judge.similarities(first, second), expected, atol=1e-6)
    np.testing.assert_allclose(judge.similarity(first, first), 1, atol=1e-6)
    assert judge.similarity([], []).shape == (0,)
    assert judge.similarities([], second).shape == (0, 6)
    with pytest.raises(ValueError, match="one reference for each of 6 texts, found 5"):
        judge.similarity(first, second[:5])


def test_published_weights_tell_a_paraphrase_from_another_subject():
    """The expected values were computed with transformers in torch."""
    try:
        find_minilm()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    judge = TextSimilarity.read()
    born, tilted = "Anna was born in Paris.", "The photo is underexposed and tilted."
    found = judge.similarity(
        [born, tilted, tilted],
        [
            "Paris is the city where Anna was born.",
            "The image is too dark and the horizon is crooked.",
            "A cat eats fish.",
        ],
    )
    np.testing.assert_allclose(found, [0.955327, 0.535145, 0.048148], atol=1e-5)
