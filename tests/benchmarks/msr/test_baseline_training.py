"""Baselines learn what was planted, are tuned alike, and go on after a stop to the same bits."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mllm.benchmarks.msr.baselines import tuning
from mllm.benchmarks.msr.baselines.bpr import BPR, PairBatches
from mllm.benchmarks.msr.baselines.gru4rec import GRU4REC
from mllm.benchmarks.msr.baselines.log import (
    Held,
    Histories,
    TrainingLog,
    held_out,
    histories_of,
    training_log,
)
from mllm.benchmarks.msr.baselines.recommender import Shape, given
from mllm.benchmarks.msr.baselines.sasrec import SASREC
from mllm.benchmarks.msr.baselines.sequences import SequenceBatches
from mllm.benchmarks.msr.baselines.training import Options, train_once
from mllm.benchmarks.msr.baselines.tuning import RECORD, trials_of, tuned

USERS, ITEMS = 60, 40


def chains():
    """Return a log in which item i is followed by i + 3, around a circle of 36, mostly; four items
    are cold.
    """
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(USERS):
        start, length = rng.integers(36), rng.integers(3, 9)
        sequences.append(((start + 3 * np.arange(length)) % 36).astype(np.int32))
    items = tuple(f"i{item}" for item in range(ITEMS))
    return TrainingLog(items, tuple(f"u{user}" for user in range(USERS)), tuple(sequences))


def next_of(log):
    """Return users of whom the next item is asked, against others."""
    rng = np.random.default_rng(1)
    targets = [(one[-1] + 3) % 36 for one in log.sequences]
    others = [
        rng.choice(np.setdiff1d(np.arange(36), [*one, target]), 10, replace=False)
        for one, target in zip(log.sequences, targets, strict=True)
    ]
    users = Histories(np.arange(USERS, dtype=np.int32), log.sequences)
    return Held(users, np.array([[t, *o] for t, o in zip(targets, others, strict=True)]))


@pytest.fixture(scope="module")
def log():
    return chains()


SHAPE = Shape(ITEMS, USERS, width=16, length=10, blocks=1, heads=1)


@dataclass(frozen=True, eq=False)
class Interrupted(TrainingLog):
    """A log whose reading is interrupted after so many batches."""

    after: int = 0
    made: Iterator[int] = field(default_factory=itertools.count)

    def untaken(self, users, rng):
        if next(self.made) >= self.after:
            raise KeyboardInterrupt
        return super().untaken(users, rng)


def interrupted(log, after):
    return Interrupted(log.items, log.users, log.sequences, after)


def learn(recommender, log, folder, options, *, shape=SHAPE, **more):
    return train_once(
        recommender,
        shape,
        log,
        given(log, dropout=options.dropout, decay=options.decay),
        options,
        folder,
        name="test",
        rows=16,
        seed=0,
        meta={"of": "a test"},
        **more,
    )


@pytest.mark.thorough
@pytest.mark.parametrize("recommender", [SASREC, GRU4REC], ids=["sasrec", "gru4rec"])
def test_networks_learn_what_follows_what(recommender, log, tmp_path):
    variables = learn(recommender, log, tmp_path, Options(learning_rate=0.03, epochs=30))
    held = next_of(log)
    found = tuning._metrics(recommender.scores(SHAPE, variables, held.histories), held.candidates)
    assert found["auc_user"] > 0.9


@pytest.mark.thorough
@pytest.mark.slow
def test_matrix_factorisation_learns_a_planted_matrix(tmp_path):
    rng = np.random.default_rng(2)
    users, items = rng.normal(size=(150, 3)), rng.normal(size=(ITEMS, 3))
    planted = users @ items.T
    taken = np.argsort(-planted + rng.gumbel(size=planted.shape) * 0.3, axis=1)[:, :12]
    order = rng.permuted(taken, axis=1).astype(np.int32)
    names = tuple(f"u{user}" for user in range(150))
    log = TrainingLog(tuple(f"i{i}" for i in range(ITEMS)), names, tuple(order[:, :10]))
    shape = Shape(ITEMS, 150, width=8)
    variables = learn(
        BPR, log, tmp_path, Options(learning_rate=0.03, epochs=15, decay=0.003), shape=shape
    )
    asked = Histories(np.arange(150, dtype=np.int32), log.sequences)
    scores = BPR.scores(shape, variables, asked)
    areas = []
    for user in range(150):  # the two that were left out against what the user did not take
        rest = np.setdiff1d(np.arange(ITEMS), order[user, :10])
        areas.append(roc_auc_score(np.isin(rest, order[user, 10:]), scores[user, rest]))
    assert np.mean(areas) > 0.75
    popular = log.counts / log.counts.sum()
    by_count = [
        roc_auc_score(np.isin(r, order[u, 10:]), popular[r])
        for u in range(150)
        for r in [np.setdiff1d(np.arange(ITEMS), order[u, :10])]
    ]
    assert np.mean(areas) > np.mean(by_count) + 0.1
    # A user whom the log does not have is an average one.
    unknown = BPR.scores(shape, variables, Histories(np.array([-1], np.int32), ((),)))
    np.testing.assert_allclose(unknown[0], scores.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("recommender", [SASREC, BPR], ids=["sasrec", "bpr"])
def test_a_training_that_was_stopped_ends_with_the_same_bits(recommender, log, tmp_path):
    options = Options(learning_rate=0.01, epochs=3, dropout=0.3, decay=0.01)
    whole = learn(recommender, log, tmp_path / "whole", options)
    with pytest.raises(KeyboardInterrupt):
        learn(recommender, interrupted(log, 11), tmp_path / "cut", options, save_every=4)
    assert (tmp_path / "cut" / "checkpoints" / "8").is_dir()
    again = learn(recommender, log, tmp_path / "cut", options, save_every=4)
    jax.tree.map(np.testing.assert_array_equal, again, whole)
    # Nothing is trained a second time.
    before = (tmp_path / "whole" / "metrics.jsonl").read_text()
    once_more = learn(recommender, interrupted(log, 0), tmp_path / "whole", options)
    jax.tree.map(np.testing.assert_array_equal, once_more, whole)
    assert (tmp_path / "whole" / "metrics.jsonl").read_text() == before


def test_all_trials_are_kept_and_the_best_on_validation_is_chosen(log, tmp_path, capsys):
    trials = trials_of({"learning_rate": (1e-6, 0.03), "epochs": (20,)})
    asked = {"rows": 16, "seed": 0, "made_from": {"data": "of a test"}}

    def ask(folder, **change):
        held = next_of(log)
        return tuned("gru4rec", GRU4REC, SHAPE, log, held, trials, folder, **asked | change)

    found = ask(tmp_path)
    said = capsys.readouterr().err
    assert [t["options"]["learning_rate"] for t in found.trials] == [1e-6, 0.03]
    areas = [t["validation"]["auc_pooled"] for t in found.trials]
    assert found.chosen == 1 and areas[1] > areas[0] + 0.1
    assert said.count("of 60 validation users") == 2 and said.count("<- chosen") == 1
    (record,) = tmp_path.glob(f"*/{RECORD}")
    assert json.loads(record.read_text())["trials"] == list(found.trials)
    again = ask(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, again.variables, found.variables)
    assert (again.trials, again.chosen) == (found.trials, found.chosen)
    record.write_text(record.read_text().replace('"chosen": 1', '"chosen": 0'))
    with pytest.raises(ValueError, match=r"trials\.json: was changed after it was written"):
        ask(tmp_path)


def test_a_grid_is_all_combinations_and_knows_its_options():
    trials = trials_of({"learning_rate": (1e-3, 1e-2), "dropout": (0.1, 0.2, 0.3)})
    assert len(trials) == 6 and trials[4] == Options(learning_rate=1e-2, dropout=0.2)
    assert trials_of({}) == [Options()]
    with pytest.raises(ValueError, match=r"unknown option of a baseline's grid: 'droput'; did you"):
        trials_of({"droput": (0.1,)})
    with pytest.raises(ValueError, match=r"grid: dropout has no values"):
        trials_of({"dropout": ()})


def test_an_epoch_shows_every_pair_once_with_items_that_nobody_took(log):
    batches = PairBatches(log, rows=32, seed=0)
    seen = Counter()
    for step in range(batches.steps(2)):
        batch = batches.batch_at(step)
        for row in np.flatnonzero(batch["weight"]):
            user, item = batch["users"][row], batch["items"][row]
            seen[int(user), int(item)] += 1
            assert batch["negatives"][row] not in log.sequences[user]
            assert log.counts[batch["negatives"][row]] > 0
    pairs = [(user, int(item)) for user, one in enumerate(log.sequences) for item in one]
    assert seen == Counter({pair: 2 * count for pair, count in Counter(pairs).items()})


def test_an_epoch_shows_the_last_places_of_every_log(log):
    shape = Shape(ITEMS, USERS, length=4)
    batches = SequenceBatches(log, shape, rows=16, seed=0)
    found = []
    for step in range(batches.steps(1)):
        batch = batches.batch_at(step)
        for row in range(16):
            real = batch["segments"][row] == 0
            items, after = batch["items"][row][real], batch["positives"][row][real]
            if real.any():
                found.append((*items.tolist(), int(after[-1])))
                np.testing.assert_array_equal(items[1:], after[:-1])
                taken = next(s for s in log.sequences if tuple(s[-5:]) == found[-1])
                assert not np.isin(batch["negatives"][row][real], taken[-5:]).any()
        again = batches.batch_at(step)
        assert all(np.array_equal(again[name], batch[name]) for name in batch)
    assert Counter(found) == Counter(tuple(one[-5:].tolist()) for one in log.sequences)


@dataclass
class Known:
    """A benchmark by hand."""

    log: list
    item_ids: tuple = ("a", "b", "c", "d", "e")
    found: dict = field(default_factory=dict)


def test_a_log_is_read_in_order_and_checked():
    rows = [("u", "b", 1), ("u", "a", 2), ("v", "c", 1), ("u", "c", 2)]
    log = training_log(Known(rows))
    assert log.users == ("u", "v") and [one.tolist() for one in log.sequences] == [[1, 0, 2], [2]]
    assert log.counts.tolist() == [1, 1, 2, 0, 0]
    user = SimpleNamespace(id="w", history=("e", "a"), target="b", split="validation")
    asked = histories_of(log, [user])
    assert asked.users.tolist() == [-1] and asked.items[0].tolist() == [4, 0]
    held = held_out(log, [user], lambda user: ("c", "d"))
    assert held.candidates.tolist() == [[1, 2, 3]]
    for wrong, message in (
        ([("u", "x", 1)], r"user 'u' took 'x', which is no item of the catalogue"),
        ([("u", "a", 3), ("u", "b", 2)], r"took 'b' at 2, after something at 3; expected"),
        ([("u", "a", 1), ("v", "b", 2)], r"no user took two items"),
    ):
        with pytest.raises(ValueError, match=message):
            training_log(Known(wrong))
    user.id, user.target = "u", "c"
    with pytest.raises(ValueError, match=r"user 'u': the log has 'c', the target of split"):
        held_out(log, [user], lambda user: ("d",))
    user.history = ("z",)
    with pytest.raises(ValueError, match=r"user 'u': 'z' is no item of the catalogue"):
        histories_of(log, [user])
    with pytest.raises(ValueError, match=r"validation: no users"):
        held_out(log, [], lambda user: ())
