"""Networks over histories against NumPy loops and torch, and what they must not see."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import torch

from mllm.benchmarks.msr.baselines.gru4rec import GRU4REC
from mllm.benchmarks.msr.baselines.log import Histories, TrainingLog
from mllm.benchmarks.msr.baselines.recommender import GIVEN, Shape, given
from mllm.benchmarks.msr.baselines.sasrec import SASREC

ITEMS, WIDTH, LENGTH, FEATURES = 30, 8, 12, 5
COLD = (27, 28, 29)
NETWORKS = {"gru4rec": GRU4REC, "sasrec": SASREC}


def log():
    rng = np.random.default_rng(3)
    sequences = [np.arange(27), *(rng.permutation(27)[:9] for _ in range(5))]
    names = tuple(f"u{user}" for user in range(6))
    items = tuple(f"i{item}" for item in range(ITEMS))
    return TrainingLog(items, names, tuple(one.astype(np.int32) for one in sequences))


def variables_of(recommender, features=None):
    """Return a shape and random variables of a size at which everything matters."""
    width = 0 if features is None else features.shape[1]
    shape = Shape(ITEMS, 6, width=WIDTH, length=LENGTH, blocks=2, heads=2, features=width)
    params = recommender.init(shape, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda w: w + rng.normal(0, 0.5, w.shape).astype(np.float32), params)
    return shape, {"params": {**params, GIVEN: given(log(), features)}}


def histories(*items):
    return Histories(
        np.full(len(items), -1, np.int32), tuple(np.array(one, np.int32) for one in items)
    )


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    recommender = NETWORKS[request.param]
    outputs = jax.jit(recommender.outputs, static_argnums=0)
    return (replace(recommender, outputs=outputs), *variables_of(recommender))


def table_of(params):
    table = np.array(params["items"]["table"], np.float64)
    table[list(COLD)] = table[:27].mean(axis=0)
    return table


def layer_norm(x, w):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-8) * w["scale"] + w["b"]


def sasrec_by_loops(params, history, heads=2):
    """Return the scores of all items by the equations of the paper, one place at a time."""
    params = jax.tree.map(lambda w: np.asarray(w, np.float64), params)
    table = table_of(params)
    states = [table[i] * WIDTH**0.5 + params["position"][t] for t, i in enumerate(history)]
    for number in range(2):
        w = jax.tree.map(lambda leaf, number=number: leaf[number], params["blocks"])
        normed = [layer_norm(x, w["attention_norm"]) for x in states]
        q, k, v = ([x @ w[name]["w"] for x in normed] for name in "qkv")
        for t, x in enumerate(states):
            mixed = np.zeros(WIDTH)
            for head in range(heads):
                part = slice(head * WIDTH // heads, (head + 1) * WIDTH // heads)
                logits = [q[t][part] @ k[s][part] / (WIDTH / heads) ** 0.5 for s in range(t + 1)]
                shares = np.exp(logits) / np.exp(logits).sum()
                mixed[part] = sum(share * v[s][part] for s, share in enumerate(shares))
            x = x + mixed
            h = np.maximum(layer_norm(x, w["mlp_norm"]) @ w["fc1"]["w"] + w["fc1"]["b"], 0)
            states[t] = x + h @ w["fc2"]["w"] + w["fc2"]["b"]
    return table @ layer_norm(states[-1], params["norm"])


def gru4rec_by_torch(params, history):
    """Return the scores of all items from ``torch.nn.GRU`` with the same weights."""
    gru = torch.nn.GRU(WIDTH, WIDTH).double()
    maps = {"ih": params["input"], "hh": params["unit"]["hidden"]}
    table = table_of(params)
    with torch.no_grad():
        for name, w in maps.items():
            getattr(gru, f"weight_{name}_l0").copy_(torch.tensor(np.array(w["w"]).T))
            getattr(gru, f"bias_{name}_l0").copy_(torch.tensor(np.array(w["b"])))
        states, _ = gru(torch.tensor(table[list(history)] * WIDTH**0.5))
    return table @ states[-1].numpy()


HISTORY = (3, 17, 28, 5, 9, 3, 11)


@pytest.mark.parametrize(
    "name, truth", [("sasrec", sasrec_by_loops), ("gru4rec", gru4rec_by_torch)]
)
def test_scores_equal_an_independent_implementation(name, truth):
    shape, variables = variables_of(NETWORKS[name])
    found = NETWORKS[name].scores(shape, variables, histories(HISTORY, HISTORY[:1]))
    for row, history in zip(found, (HISTORY, HISTORY[:1]), strict=True):
        np.testing.assert_allclose(row, truth(variables["params"], history), rtol=2e-4, atol=2e-4)


def batch_of(*sequences, places):
    items = np.zeros((len(sequences), places), np.int32)
    segments = np.full((len(sequences), places), -1, np.int32)
    for row, one in enumerate(sequences):
        items[row, : len(one)], segments[row, : len(one)] = one, 0
    zeros = np.zeros_like(items)
    batch = {"items": items, "segments": segments, "positives": zeros + 7, "negatives": zeros + 8}
    return batch | {"draw": np.zeros(len(sequences), np.uint32)}


def test_what_is_read_depends_on_no_later_item_and_on_no_padding(network):
    recommender, shape, variables = network
    later = (*HISTORY[:4], 21, 22, 23)
    wide = batch_of(HISTORY, later, places=LENGTH)
    found = recommender.outputs(shape, variables, wide)["taken"]
    np.testing.assert_array_equal(found[0, :4], found[1, :4])
    assert not np.allclose(found[0, 4:7], found[1, 4:7], atol=1e-3)
    narrow = batch_of(HISTORY, places=len(HISTORY))
    np.testing.assert_allclose(
        recommender.outputs(shape, variables, narrow)["taken"][0], found[0, :7], atol=1e-5
    )
    wide["items"][wide["segments"] < 0] = 13  # what stands in the padding is not read
    again = recommender.outputs(shape, variables, wide)["taken"]
    np.testing.assert_array_equal(again[:, :7], found[:, :7])


def test_a_users_scores_depend_on_nobody_else_and_on_the_last_items_alone(network):
    recommender, shape, variables = network
    long = tuple(np.random.default_rng(1).integers(0, 27, LENGTH + 4))
    found = recommender.scores(shape, variables, histories(HISTORY, long, *[(4, 5)] * 70))
    alone = recommender.scores(shape, variables, histories(long[-LENGTH:]))
    np.testing.assert_array_equal(found[1], alone[0])
    assert found.shape == (72, ITEMS)
    np.testing.assert_array_equal(found[2], found[71])


def test_cold_items_are_average_items_and_an_empty_history_says_nothing(network):
    recommender, shape, variables = network
    found = recommender.scores(shape, variables, histories(HISTORY, ()))
    np.testing.assert_allclose(found[0, list(COLD)], found[0, :27].mean(), atol=1e-4)
    np.testing.assert_array_equal(found[1], np.zeros(ITEMS))


def test_features_tell_cold_items_apart(network):
    recommender, *_ = network
    features = np.random.default_rng(5).normal(3, 40, (ITEMS, FEATURES))
    features[28] = features[2]
    shape, variables = variables_of(recommender, features)
    shown = variables["params"][GIVEN]["features"]
    assert abs(shown[:27].mean(axis=0)).max() < 1e-5
    assert np.square(shown[:27]).mean() == pytest.approx(1, abs=1e-5)
    found = recommender.scores(shape, variables, histories(HISTORY))[0]
    assert np.ptp(found[list(COLD)]) > 0.01
    # A cold item with the features of another one differs by the mean row of the table alone.
    items = dict(variables["params"]["items"])
    table = np.array(items["table"])
    table[2] = np.delete(table[:27], 2, axis=0).mean(axis=0)  # so that it is the mean itself
    params = {**variables["params"], "items": {**items, "table": table}}
    found = recommender.scores(shape, {"params": params}, histories(HISTORY))[0]
    assert found[28] == pytest.approx(found[2], abs=1e-4)


def test_dropout_follows_from_the_batch_and_leaves_answers_alone(network):
    recommender, shape, variables = network
    rate = {**variables["params"][GIVEN], "dropout": np.float32(0.5)}
    dropping = {"params": {**variables["params"], GIVEN: rate}}
    batch = batch_of(HISTORY, places=LENGTH)

    def outputs(variables, draw):
        drawn = {**batch, "draw": np.full(1, draw, np.uint32)}
        return recommender.outputs(shape, variables, drawn)["taken"][0, :7]

    np.testing.assert_array_equal(outputs(dropping, 3), outputs(dropping, 3))
    assert not np.allclose(outputs(dropping, 3), outputs(dropping, 4))
    np.testing.assert_array_equal(outputs(variables, 3), outputs(variables, 4))
    asked = histories(HISTORY)
    np.testing.assert_array_equal(
        recommender.scores(shape, dropping, asked), recommender.scores(shape, variables, asked)
    )


@pytest.mark.parametrize(
    "features, message",
    [
        (np.zeros((4, 2)), r"expected a row for each of 30 items, found \(4, 2\)"),
        (np.where(np.arange(ITEMS)[:, None] == 6, np.nan, 0.0), r"of item 'i6' are not finite"),
    ],
)
def test_features_that_do_not_fit_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        given(log(), features)
