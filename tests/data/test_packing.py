"""Rows hold what they are given, in capacity, and say where everything is."""

import numpy as np
import pytest
from toy import tokenized

from mllm.data.packing import RowShape, collate, pack, row_tokens
from mllm.data.pipeline import Pipeline, read_ahead
from mllm.data.tokenized import Tokenized

IMAGE = 3
ROLES = {"first": 1.0, "second": 0.0}


def random_examples(seed: int, count: int = 40) -> list[Tokenized]:
    rng = np.random.default_rng(seed)
    draw = lambda low, high: tuple(rng.integers(10, 90, rng.integers(low, high)).tolist())  # noqa: E731
    examples = []
    for index in range(count):
        image = int(rng.integers(-1, 3))
        prefix = (1,) if image < 0 else (1, 7, IMAGE, IMAGE)
        shown = dict(media=[image], spans=[(2, 2, 0)]) if image >= 0 else {}
        role = "first" if rng.random() < 0.3 else "second"
        examples.append(tokenized(index, prefix, draw(2, 8), draw(1, 5), role=role, **shown))
    return examples


@pytest.mark.parametrize("loss_on", ["answer", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_every_example_is_in_one_row_and_rows_keep_to_their_capacity(seed, loss_on):
    shape = RowShape(tokens=40, supervised=18, answers=4, loss_on=loss_on)
    examples = random_examples(seed)
    rows = pack(examples, shape)
    assert sorted(e.index for row in rows for e in row) == list(range(len(examples)))
    for row in rows:
        assert len({(tuple(e.content()[: e.prefix]), e.role) for e in row}) == 1
        assert len(row) <= shape.answers
        assert row[0].prefix + sum(e.length for e in row) <= shape.tokens
        assert sum(len(shape.places_of(e)) for e in row) <= shape.supervised


@pytest.mark.parametrize("loss_on", ["answer", "all"])
def test_collated_rows_can_be_read_back(loss_on):
    shape = RowShape(tokens=40, supervised=30, answers=4, loss_on=loss_on)
    rows = pack(random_examples(5), shape)[:6]
    batch = collate(rows, 8, shape)
    for r, row in enumerate(rows):
        tokens, segments = batch["tokens"][r], batch["segments"][r]
        assert tokens[segments == 0].tolist() == row[0].ids[: row[0].prefix].tolist()
        for s, example in enumerate(row):
            mine = segments == s + 1
            start, (first, end) = example.prefix, example.supervised[0]
            assert tokens[mine].tolist() == example.ids[start:].tolist()
            assert batch["positions"][r][mine].tolist() == list(
                range(start, start + example.length)
            )
            taught = tokens[mine & (batch["loss_mask"][r] > 0)]
            wanted = example.ids[first:end] if loss_on == "answer" else example.ids[start:]
            assert taught.tolist() == wanted.tolist()
            assert batch["answers"][r, s] == example.index
        there = batch["targets"][r] < shape.tokens
        assert there.sum() == batch["loss_mask"][r].sum()
        for target, source in zip(
            batch["targets"][r][there], batch["sources"][r][there], strict=True
        ):
            # What predicts a token stands one position before it, in its segment or in the prefix.
            assert batch["positions"][r, source] == batch["positions"][r, target] - 1
            assert segments[source] in (0, segments[target])
    assert batch["weight"].tolist() == [1] * 6 + [0] * 2
    assert (batch["segments"][6:] == -1).all() and (batch["loss_mask"][6:] == 0).all()


def test_the_published_mask_covers_every_token_but_the_first():
    """MLLMU-Bench masks only padding; all tokens of a row are then one causal segment."""
    shape = RowShape(tokens=20, supervised=19, answers=1, loss_on="text")
    rows = pack(random_examples(6), shape)[:5]
    batch = collate(rows, 6, shape)
    for r, (example,) in enumerate(rows):
        whole = example.ids.tolist()
        there = slice(0, len(whole))
        assert batch["tokens"][r, there].tolist() == whole
        assert set(batch["segments"][r, there].tolist()) == {1}
        assert batch["positions"][r, there].tolist() == list(range(len(whole)))
        assert batch["loss_mask"][r].tolist() == [0] + [1] * (len(whole) - 1) + [0] * (
            20 - len(whole)
        )
        taught = batch["targets"][r] < 20
        assert batch["targets"][r][taught].tolist() == list(range(1, len(whole)))
        assert batch["sources"][r][taught].tolist() == list(range(len(whole) - 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(loss_on="text"), "loss_on 'text' needs rows.answers = 1, found 12"),
        (dict(loss_on="anser"), "unknown loss_on 'anser'.*'answer'"),
    ],
)
def test_rows_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RowShape(**options)


def test_an_example_that_fits_no_row_is_named():
    example = tokenized(17, (1,), range(30), (5,))
    with pytest.raises(ValueError, match=r"example 17 has 32 tokens.*rows.tokens"):
        pack([example], RowShape(tokens=20))


def make_pipeline(**options) -> Pipeline:
    examples = random_examples(9, 60)
    shape = RowShape(tokens=40, supervised=18, answers=4)
    options = dict(seed=3, roles=ROLES, primary="first") | options
    return Pipeline(examples, [], None, 4, shape, **options)


def batches(pipeline, start: int, count: int) -> list[dict]:
    return [pipeline.batch_at(step) for step in range(start, start + count)]


@pytest.mark.parametrize("schedule", ["all", "primary", "joint", "sequential"])
def test_a_resumed_pipeline_goes_on_with_the_same_batches(schedule):
    whole = batches(make_pipeline(schedule=schedule), 0, 30)
    for start in (1, 7, 19):
        again = batches(make_pipeline(schedule=schedule), start, 5)
        for mine, theirs in zip(again, whole[start:], strict=False):
            for key in mine:
                np.testing.assert_array_equal(mine[key], theirs[key])


@pytest.mark.parametrize(
    ("tokens", "supervised", "ladder"),
    [
        (40, 18, [(24, 16), (32, 16), (40, 18)]),
        (256, 64, [(128, 32), (256, 48), (256, 64)]),
        (30, 7, [(16, 7), (24, 7), (30, 7)]),
    ],
)
def test_a_batch_takes_the_smallest_of_three_shapes_that_holds_it(tokens, supervised, ladder):
    """With a smaller share, some row would have too many tokens or supervised tokens."""
    shape, examples = RowShape(tokens=tokens, supervised=supervised, answers=4), random_examples(9)
    rows = [row[:most] for most in (1, 2, 4) for row in pack(examples, shape)]
    taken = set()
    for row in rows:
        answers = sum(int(end - start) for e in row for start, end in e.supervised)
        used = row[0].prefix + sum(e.length for e in row), answers
        fitted = shape.fitted([row])
        found = fitted.tokens, fitted.supervised
        assert found == next(s for s in ladder if used[0] <= s[0] and used[1] <= s[1])
        taken.add(found)
    assert len(taken) > 1 or tokens == 256
    whole = shape.fitted(rows)
    assert all(shape.fitted([row]).tokens <= whole.tokens for row in rows)
    with pytest.raises(ValueError, match=f"capacity is {tokens} and {supervised}"):
        shape.fitted([rows[-1] * 100])


def test_schedules_show_the_rows_they_promise():
    roles = lambda batch: set(batch["role"][batch["weight"] > 0].tolist())  # noqa: E731
    pipeline = make_pipeline(schedule="primary")
    assert all(roles(b) == {1.0} for b in batches(pipeline, 0, pipeline.steps(2)))
    pipeline = make_pipeline(schedule="joint")
    for batch in batches(pipeline, 0, pipeline.steps(2)):
        assert roles(batch) == {0.0, 1.0}
    pipeline = make_pipeline(schedule="sequential")
    order = [roles(b) for b in batches(pipeline, 0, pipeline.steps(1))]
    assert order == sorted(order, key=lambda r: r != {1.0}) and len(order) > 2
    pipeline = make_pipeline(schedule="all")
    seen = np.concatenate([b["answers"].ravel() for b in batches(pipeline, 0, pipeline.steps(1))])
    assert sorted(seen[seen >= 0]) == list(range(60))


def test_schedules_and_roles_that_are_unknown_are_refused():
    with pytest.raises(ValueError, match=r"unknown schedule 'joined'.*did you mean 'joint'"):
        make_pipeline(schedule="joined")
    message = r"example \d+ has role 'second'; the objective knows \['first'\]"
    with pytest.raises(ValueError, match=message):
        make_pipeline(roles={"first": 1.0})


def test_reference_values_travel_with_their_answers():
    pipeline = make_pipeline(schedule="primary")
    pipeline.reference = -np.arange(60, dtype=np.float32)
    for batch in batches(pipeline, 0, 3):
        known = batch["answers"] >= 0
        np.testing.assert_array_equal(batch["reference_logprobs"][known], -batch["answers"][known])
        assert (batch["reference_logprobs"][~known] == 0).all()


def test_reading_ahead_keeps_order_and_passes_errors_on():
    def draw(number):
        if number == 8:
            raise RuntimeError("broken source")
        return number

    source = read_ahead(draw, 3)
    assert [next(source) for _ in range(5)] == list(range(3, 8))
    with pytest.raises(RuntimeError, match="broken source"):
        next(source)


def test_batches_are_the_same_in_any_order_and_from_any_thread():
    """Steps on both sides of the end of an epoch, and one far later."""
    whole, pipeline = batches(make_pipeline(), 0, 40), make_pipeline()
    ahead = read_ahead(pipeline.batch_at, 0, depth=4)
    for step, expected in enumerate(whole):
        for key, values in next(ahead).items():
            np.testing.assert_array_equal(values, expected[key])
        if step % 7 == 0:
            for other in (39 - step, 0):
                np.testing.assert_array_equal(
                    pipeline.batch_at(other)["tokens"], whole[other]["tokens"]
                )
    ahead.close()


def test_rows_of_like_length_share_a_batch_and_none_is_lost():
    mixed, alike = make_pipeline(), make_pipeline()
    alike.alike = True

    def spread(pipeline):
        lengths = [list(map(row_tokens, batch)) for batch in pipeline.epoch(0)]
        return sum(max(batch) - min(batch) for batch in lengths)

    def indices(pipeline):
        return sorted(e.index for batch in pipeline.epoch(0) for row in batch for e in row)

    assert spread(alike) < spread(mixed)
    assert indices(alike) == indices(mixed) and alike.steps(1) == mixed.steps(1)
    longest = [max(map(row_tokens, batch)) for batch in alike.epoch(0)]
    assert longest != sorted(longest)  # long batches come between short ones
