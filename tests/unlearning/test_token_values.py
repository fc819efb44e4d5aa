"""What the objectives compute of each token, against SciPy on dense logits in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import draw_answers, pack
from scipy.special import log_softmax, rel_entr, softmax

from mllm.ops.losses import token_values
from mllm.training.objective import Objective
from mllm.unlearning import get_objective
from mllm.unlearning.ce_u import number_in_answer

TOKENS, WIDTH, VOCABULARY = 7, 5, 11
RNG = np.random.default_rng(0)
LOGITS, REFERENCE = RNG.normal(size=(2, TOKENS, VOCABULARY)).astype("float32").astype("float64") * 2
TARGETS = RNG.integers(0, VOCABULARY, TOKENS)
TRUE = np.eye(VOCABULARY)[TARGETS]
UNIFORM = np.full((TOKENS, VOCABULARY), 1 / VOCABULARY)


def value_and_gradient(name, value, **options):
    """Values float[N] of a named value of tokens, and the gradient of their sum by logit."""
    objective = get_objective(name, **options)
    function = objective.values[value]
    known = {"reference_logits": REFERENCE.astype("float32"), "targets": TARGETS}
    read = {n: known[n] for n in objective.reads[value] if n != "logits"}

    def total(logits):
        values = function(logits=logits, **read)
        return values.sum(), values

    gradient, values = jax.grad(total, has_aux=True)(jnp.asarray(LOGITS, jnp.float32))
    return np.asarray(values), np.asarray(gradient)


def test_undial_is_the_cross_entropy_with_a_lowered_logit():
    wanted = softmax(REFERENCE - 3 * TRUE, axis=1)
    values, gradient = value_and_gradient("undial", "adjusted_nll", beta=3.0)
    np.testing.assert_allclose(values, -(wanted * log_softmax(LOGITS, axis=1)).sum(1), rtol=1e-5)
    np.testing.assert_allclose(gradient, softmax(LOGITS, axis=1) - wanted, atol=1e-6)
    # the model that training starts from gives the true token more than that: descent lowers it
    at_start = (softmax(REFERENCE, axis=1) - wanted)[TRUE == 1]
    assert (at_start > 0).all()


def test_undial_without_an_adjustment_is_distillation():
    values, _ = value_and_gradient("undial", "adjusted_nll", beta=0.0)
    kept = softmax(REFERENCE, axis=1)
    divergence = rel_entr(kept, softmax(LOGITS, axis=1)).sum(1)
    entropy = -(kept * log_softmax(REFERENCE, axis=1)).sum(1)
    np.testing.assert_allclose(values, divergence + entropy, rtol=1e-5)


def test_ce_u_is_the_cross_entropy_with_the_model_without_the_true_token():
    p = softmax(LOGITS, axis=1)
    wanted = np.where(TRUE, 0, p)
    wanted /= wanted.sum(1, keepdims=True)
    values, gradient = value_and_gradient("ce_u", "others_nll")
    np.testing.assert_allclose(values, -(wanted * log_softmax(LOGITS, axis=1)).sum(1), rtol=1e-5)
    np.testing.assert_allclose(gradient, p - wanted, atol=1e-6)
    np.testing.assert_allclose(gradient[TRUE == 1], p[TRUE == 1], atol=1e-6)  # descent lowers it


@pytest.mark.parametrize("direction", ["to_uniform", "from_uniform"])
def test_kl_uniform_is_the_divergence(direction):
    p = softmax(LOGITS, axis=1)
    values, gradient = value_and_gradient("kl_uniform", "uniform_kl", direction=direction)
    if direction == "to_uniform":
        expected = rel_entr(p, UNIFORM).sum(1)
        surprise = np.log(p)
        by_logit = p * (surprise - (p * surprise).sum(1, keepdims=True))
    else:
        expected = rel_entr(UNIFORM, p).sum(1)
        by_logit = p - UNIFORM
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    np.testing.assert_allclose(gradient, by_logit, atol=1e-5)
    assert (expected > 0).all() and (by_logit[p == p.max(1, keepdims=True)] > 0).all()


def test_kl_uniform_ends_at_a_guess_and_begins_at_most_at_log_v():
    value = get_objective("kl_uniform").values["uniform_kl"]
    np.testing.assert_allclose(value(logits=jnp.ones((2, 11))), 0, atol=1e-6)
    np.testing.assert_allclose(value(logits=200 * jnp.eye(11)), np.log(11), rtol=1e-6)


@pytest.mark.parametrize(("form", "reduce"), [("paper", np.sum), ("released", np.mean)])
def test_rmu_measures_squared_distances(form, reduce):
    objective = get_objective("rmu", form=form, length=3.0, seed=4)
    states, kept = RNG.normal(size=(2, TOKENS, WIDTH)).astype("float32")
    drawn = np.asarray(jax.random.uniform(jax.random.key(4), (WIDTH,)), "float64")
    wanted = 3 * drawn / np.sqrt((drawn**2).sum())
    forget, retain = (objective.values[n] for n in ("forget_distance", "retain_distance"))
    np.testing.assert_allclose(
        forget(states=states), reduce((states - wanted) ** 2, axis=1), rtol=1e-5
    )
    np.testing.assert_allclose(
        retain(states=states, reference_states=kept), reduce((states - kept) ** 2, 1), rtol=1e-5
    )
    gradient = jax.grad(lambda states: forget(states=states).sum())(states)
    scale = 1 if form == "paper" else 1 / WIDTH
    np.testing.assert_allclose(gradient, 2 * scale * (states - wanted), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [64, 3])
def test_values_of_tokens_are_given_logits_in_chunks(chunk):
    states = RNG.normal(size=(TOKENS, WIDTH)).astype("float32")
    head = RNG.normal(size=(WIDTH, VOCABULARY)).astype("float32")

    def value(logits, targets, states):
        return jnp.take_along_axis(logits, targets[:, None], 1)[:, 0] * states[:, 0]

    found = token_values(
        value,
        {"logits": states, "targets": jnp.asarray(TARGETS), "states": states},
        {"logits": head},
        chunk=chunk,
    )
    expected = (states @ head)[np.arange(TOKENS), TARGETS] * states[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_tokens_are_numbered_within_their_answers():
    answers = draw_answers(3)
    _, _, batch = pack(answers, [[0, 1], [2, 3], [4, 5, 6], []])
    numbers = np.asarray(number_in_answer(batch))
    for b, row in enumerate([[0, 1], [2, 3], [4, 5, 6]]):
        expected = np.concatenate([np.arange(len(answers[index].logprobs)) for index in row])
        np.testing.assert_array_equal(numbers[b][batch["loss_mask"][b] == 1], expected)


def test_an_objective_names_what_it_cannot_be_given():
    with pytest.raises(ValueError, match=r"the loss asks for margin; .*outputs, numbers, batch"):
        Objective(lambda margin, batch: None, rows="all")
    with pytest.raises(ValueError, match=r"the value size reads weights; .*logits"):
        Objective(lambda size: None, rows="all", values={"size": lambda weights: weights})
    with pytest.raises(ValueError, match=r"the value size reads states, so .* needs a layer"):
        Objective(lambda size: None, rows="all", values={"size": lambda states: states})


def test_only_what_compares_needs_a_reference():
    compares = {"undial": True, "ce_u": False, "kl_uniform": False, "rmu": True, "kl_min": True}
    assert {name: get_objective(name).compares for name in compares} == compares
    assert not get_objective("rmu", keep="none").compares
    assert get_objective("wga", keep="kl").compares and not get_objective("npo").compares
