"""A softmax over the tokens of the tokenizer alone, where the head has spare rows."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from toy import make_model, make_processor, make_source, pipeline_of

from mllm.api import Model
from mllm.data.packing import RowShape
from mllm.studies.beginning import with_vocabulary
from mllm.training.values import packed_logprobs

SPARE = 9


@pytest.fixture(scope="module")
def model():
    """A model whose head has rows that no token of its tokenizer has."""
    return replace(make_model(1), processor=make_processor(300 - SPARE))


@pytest.mark.slow
def test_spare_rows_leave_the_loss_and_the_logits(model):
    cut = with_vocabulary(model, "tokenizer")
    assert with_vocabulary(model, "all") is model
    shape = RowShape(tokens=96, supervised=32, answers=5)
    batch = pipeline_of(make_source(8), model.processor, 2, shape).batch_at(0)
    found = {}
    for name, loaded in (("all", model), ("tokenizer", cut)):
        found[name] = packed_logprobs(loaded.model, loaded.config, loaded.variables, batch)
    hidden = jax.jit(model.model.hidden, static_argnums=0)
    states, _ = hidden(model.config, model.variables, batch)
    head = model.model.head(model.config, model.variables)
    rows, places = np.nonzero(batch["loss_mask"])
    sources = {
        (row, target): source
        for row in range(2)
        for target, source in zip(batch["targets"][row], batch["sources"][row], strict=True)
    }
    before = [sources[place] for place in zip(rows, places, strict=True)]
    logits = np.asarray(states)[rows, before] @ np.asarray(head)
    for name, width in (("all", 300), ("tokenizer", 300 - SPARE)):
        table = jax.nn.log_softmax(jnp.asarray(logits[:, :width]))
        expected = np.asarray(table)[np.arange(len(rows)), batch["tokens"][rows, places]]
        np.testing.assert_allclose(np.asarray(found[name])[rows, places], expected, rtol=1e-4)
    assert np.abs(np.asarray(found["all"] - found["tokenizer"])).max() > 1e-2
    assert Model(cut).logits(np.array([[1, 5, 6]])).shape == (1, 3, 300 - SPARE)


def test_a_tokenizer_larger_than_the_head_is_named(model):
    small = replace(model.config, decoder=replace(model.config.decoder, vocab_size=280))
    with pytest.raises(ValueError, match="291 tokens are more than the 280 rows"):
        with_vocabulary(replace(model, config=small), "tokenizer")
    with pytest.raises(ValueError, match="'tokens'; did you mean 'tokenizer'"):
        with_vocabulary(model, "tokens")
