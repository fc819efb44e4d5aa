"""Norms of gradients of answers, beside those of the loss written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from toy import make_model, png

from mllm.data.conversation import assistant, user
from mllm.evaluation.ahead import Calls
from mllm.evaluation.branching import Part, lay_out_parts
from mllm.evaluation.gradients import answer_gradients
from mllm.evaluation.runner import LocalModel


def by_hand(loaded, turns, text) -> float:
    """The mean over arrays, layers apart, of the norm of the gradient of -mean log p."""
    encoded = loaded.processor.encode((*turns, assistant(text)))
    batch = lay_out_parts(Calls(loaded), [Part(encoded, 0, len(encoded.ids))])
    start, end = encoded.supervised[-1]
    ids = jnp.array(encoded.ids[start:end])

    def loss(variables):
        states, _ = loaded.model.hidden(loaded.config, variables, batch)
        logits = states[0, start - 1 : end - 1] @ loaded.model.head(loaded.config, variables)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(ids)), ids])

    norms = []
    gradient = jax.jit(jax.grad(loss))(loaded.variables)
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        layers = list(np.asarray(leaf)) if "decoder/layers" in name else [np.asarray(leaf)]
        norms += [np.sqrt((layer.astype(np.float64) ** 2).sum()) for layer in layers]
    return float(np.mean([norm for norm in norms if norm > 0]))


@pytest.mark.thorough
def test_norms_are_those_of_the_loss():
    loaded = make_model(3)
    picture = png(Image.new("RGB", (16, 16), "teal"))
    answers = [
        ((user("Where was Ada born?"),), "London"),
        (
            (user(picture, "Who is the person in the picture?"),),
            "Paris __ Ada",
        ),
    ]
    found = answer_gradients(LocalModel(loaded), answers)
    truth = [by_hand(loaded, *one) for one in answers]
    np.testing.assert_allclose(found, truth, rtol=2e-4)
