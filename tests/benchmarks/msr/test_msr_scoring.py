"""Candidates that branch from what is read of their user score as prompts of their own do."""

import io
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_model

from mllm.api import Model
from mllm.benchmarks.msr.preference import State
from mllm.benchmarks.msr.prompts import LAYOUTS, Prompts
from mllm.benchmarks.msr.protocol import ASK, candidate_request
from mllm.benchmarks.msr.reading import Read, Reading
from mllm.benchmarks.msr.rows import Item, User
from mllm.benchmarks.msr.taught import Decision, Decisions
from mllm.benchmarks.msr.wording import BRIEF
from mllm.data.packing import RowShape, pack
from mllm.data.tokenized import tokenize
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.tree import grow
from mllm.evaluation.yes_no import is_yes, log_odds

LIKES = 3 * "Likes London, Paris; pictures of a person in Paris; where Ada was born. "


def picture(number: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


ITEMS = {str(n): Item(str(n), f"Paris {n}", picture=picture(n)) for n in range(4)}
BENCHMARK = SimpleNamespace(item=ITEMS.__getitem__, popularity=dict.fromkeys(ITEMS, 1))
USERS = [User(id, "test", (), (), "0", ("1", "2", "3")) for id in ("a", "b")]


@pytest.fixture(scope="module")
def loaded():
    made = make_model()
    return replace(made, processor=made.processor.with_chat_format("inline"))


def requests_of(layout: str):
    reading = Reading(Prompts(wording=BRIEF, layout=layout))
    return [
        candidate_request(
            BENCHMARK, reading, user, id, Read({}, {user.id: State(f"{user.id} {LIKES}")})
        )
        for user in USERS
        for id in user.candidates
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_branches_score_as_separate_prompts(loaded, layout):
    requests = requests_of(layout)
    model = LocalModel(loaded)
    together = {r.key: r.logprobs for lot in model.answer(requests, set()) for r in lot}
    roots = [family.root for family in grow(model._prompts(requests))]
    assert all(roots) == (layout == "picture_last")  # what is said of a user is read once
    for request in (requests[0], requests[6]):
        ((alone,),) = LocalModel(loaded, rows=1).answer([request], set())
        np.testing.assert_allclose(together[request.key], alone.logprobs, atol=1e-5)


def test_the_chances_of_yes_and_no_sum_to_one_over_the_forms(loaded):
    ((reply,),) = LocalModel(loaded, rows=1).answer(requests_of("published")[:1], set())
    logs = np.array(reply.logprobs)
    sides = np.array([is_yes(text) for text in ASK.texts])
    total = np.logaddexp.reduce(logs)
    yes = np.exp(np.logaddexp.reduce(logs[sides]) - total)
    no = np.exp(np.logaddexp.reduce(logs[~sides]) - total)
    assert yes + no == pytest.approx(1, abs=1e-12)
    odds = log_odds(ASK.texts, reply.logprobs)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(yes, abs=1e-12)


def test_the_side_of_padding_changes_nothing(loaded):
    prompts = Prompts(wording=BRIEF, candidate=("title",))
    turns = prompts.about_candidate(LIKES, ITEMS["1"])
    ids = loaded.processor.encode(turns, generate=True, where="test").ids
    model, pad = Model(loaded), 5
    rows, masks = np.zeros((2, len(ids) + pad), np.int32), np.zeros((2, len(ids) + pad), np.int32)
    rows[0, :-pad] = rows[1, pad:] = ids
    masks[0, :-pad] = masks[1, pad:] = 1
    logits = np.asarray(model.logits(rows, attention_mask=masks))
    right, left = (jax.nn.log_softmax(one) for one in (logits[0, -pad - 1], logits[1, -1]))
    np.testing.assert_allclose(right, left, atol=1e-5)


def test_the_answer_and_its_end_alone_are_supervised(loaded):
    found = [Decision(USERS[0], 0, LIKES, id, id == "0") for id in USERS[0].candidates]
    source = Decisions(BENCHMARK, Prompts(wording=BRIEF), found)
    tokenizer = loaded.processor.tokenizer
    examples = tokenize(source, loaded.processor, limit=900, text=True)
    for example, one in zip(examples, found, strict=True):
        ((start, end),) = example.supervised.tolist()
        said = tokenizer.decode(example.ids[start:end].tolist(), skip_special_tokens=False)
        assert said == (" Yes</s>" if one.taken else " No</s>") and end == len(example.ids)
    (row,) = pack(examples, RowShape(tokens=900, supervised=64, answers=8))
    assert len(row) == 4 and row[0].prefix > len(tokenizer.encode(LIKES).ids)
    whole = RowShape(tokens=900, supervised=500, answers=8, loss_on="all")
    assert len(whole.places_of(examples[0])) > len(RowShape().places_of(examples[0]))
