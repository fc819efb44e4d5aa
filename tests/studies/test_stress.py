"""Attacks on a finished run: identity, relearning, and a command that was stopped."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from toy import make_model

from configs.common import stage
from mllm.checkpoints.folder import load_model, save_model
from mllm.data.conversation import Example, assistant, user
from mllm.evaluation.inspection import read_inspection
from mllm.evaluation.metrics import share_of_best
from mllm.evaluation.request import Choices, Request
from mllm.files import write_json
from mllm.ops.lora import init_lora, merge_lora
from mllm.studies.relearning import Relearning, relearned
from mllm.studies.stress import AS_SAVED, NAME, QUESTION, Stress, answers, stress

TAUGHT = {"Where was Ada born?": "London", "Who is the person?": "Paris"}
CITIES = ("London", "Paris")
MANIFEST = {"checkpoint_digest": "1"}


@pytest.fixture(scope="module")
def config():
    return ConfigDict(
        {
            "seed": 0,
            "mesh": {"data": 1, "fsdp": -1, "tensor": 1},
            "rows": {"tokens": 64, "supervised": 16, "answers": 2},
            "lora": {"rank": 4, "targets": r"decoder/layers/\w+$", "dropout": 0.0},
            "evaluation": {"rows": 2},
            "pretrained": "",
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, config):
    """A model with an adapter that changes it."""
    loaded = make_model()
    lora = init_lora(loaded.variables["params"], jax.random.key(1), rank=2, targets="layers/q$")
    lora = jax.tree.map(lambda leaf: leaf + 0.05, lora)
    adapter = {"rank": 2, "targets": "layers/q$"}
    variables = {**loaded.variables, "lora": lora}
    folder = tmp_path_factory.mktemp("study") / "run"
    save_model(folder, replace(loaded, variables=variables, lora=adapter))
    return folder


def offer(steps=0, **changes):
    schedule = stage(learning_rate=1e-2, rows=8, warmup=0, decay="constant", trainable="lora")
    examples = [Example(q, q, (user(q), assistant(a))) for q, a in TAUGHT.items()]
    plain = [
        Request(q, q, {QUESTION: q, "gold": CITIES.index(a)}, (user(q),), Choices(CITIES))
        for q, a in TAUGHT.items()
    ]
    twice = [
        replace(one, key=f"{one.key} {n}", turns=(user("Ada ?"), assistant("."), *one.turns))
        for one in plain
        for n in range(2)
    ]
    values = {
        "questions": {q: {"set": "one"} for q in TAUGHT},
        "plain": plain,
        "forms": {"later": twice},
        "groups": [["later"]],
        "relearning": {"again": Relearning(examples, steps, schedule)},
        "known": {"again": ["Who is the person?"]},
        "value": lambda request, reply: reply.logprobs[request.tags["gold"]],
        "options": {"steps": steps},
    }
    return Stress(**{**values, **changes})


def test_no_steps_change_nothing_to_the_bit(run, config):
    loaded = load_model(run)
    found = relearned(loaded, offer(0).relearning["again"], config)
    merged = merge_lora(loaded.variables)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, merged))


@pytest.mark.thorough
def test_relearning_brings_back_what_it_is_trained_on(run, config):
    loaded, offered = load_model(run), offer(30)
    found = relearned(loaded, offered.relearning["again"], config)
    again = relearned(loaded, offered.relearning["again"], config)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, again))
    before = answers(config, loaded, merge_lora(loaded.variables), offered.plain)
    after = answers(config, loaded, found, offered.plain)
    for one in offered.plain:
        gold = one.tags["gold"]
        assert share_of_best(after[one.key].logprobs, gold) == 1
        assert after[one.key].logprobs[gold] > before[one.key].logprobs[gold] + 5


@pytest.fixture(scope="module")
def whole(run, config, tmp_path_factory):
    """The file of all attacks at once, and their names."""
    folder = tmp_path_factory.mktemp("whole")
    made = stress(run, folder, MANIFEST, config, offer())
    return (folder / "stress.json").read_bytes(), made


def test_every_attack_says_what_was_answered(run, config, whole):
    found = json.loads(whole[0])["attacks"]
    assert list(found) == whole[1] == list(offer().attacks)
    loaded = load_model(run)
    replies = answers(config, loaded, merge_lora(loaded.variables), offer().plain)
    for request in offer().plain:
        wanted = replies[request.key].logprobs[request.tags["gold"]]
        assert found[AS_SAVED][request.key] == wanted
    # Without a step nothing changes, and what was taught is left out.
    assert found["again"] == {"Where was Ada born?": found[AS_SAVED]["Where was Ada born?"]}
    assert found["adapter_none"] != found[AS_SAVED] != found["rounded_4"]
    rounded = [abs(found["rounded_8"][q] - found[AS_SAVED][q]) for q in TAUGHT]
    assert 0 < max(rounded) < 0.5
    assert set(found["later"]) == set(TAUGHT)


def test_a_stopped_command_continues(run, config, whole, tmp_path):
    first = stress(run, tmp_path, MANIFEST, config, offer(), ["rounded_4", "again"])
    assert first == ["rounded_4", "again"]
    rest = stress(run, tmp_path, MANIFEST, config, offer())
    assert set(rest) == set(offer().attacks) - set(first)
    assert (tmp_path / "stress.json").read_bytes() == whole[0]
    assert stress(run, tmp_path, MANIFEST, config, offer()) == []


def test_what_was_changed_or_made_otherwise_is_made_again(run, config, whole, tmp_path):
    path = tmp_path / "stress.json"
    kept = json.loads(whole[0])
    kept["attacks"]["rounded_8"]["Where was Ada born?"] = 0.0
    write_json(path, kept)
    assert read_inspection(tmp_path, NAME, MANIFEST) is None
    assert stress(run, tmp_path, MANIFEST, config, offer(), ["rounded_8"]) == ["rounded_8"]
    found = read_inspection(tmp_path, NAME, MANIFEST)["attacks"]
    assert found == {"rounded_8": json.loads(whole[0])["attacks"]["rounded_8"]}
    other = offer(options={"steps": 1})
    assert stress(run, tmp_path, MANIFEST, config, other, ["as_saved"]) == ["as_saved"]
    assert set(read_inspection(tmp_path, NAME, MANIFEST)["attacks"]) == {"as_saved"}


def test_an_unknown_attack_names_the_nearest(run, config, tmp_path):
    with pytest.raises(ValueError, match="unknown attack 'bfloat'; did you mean 'bfloat16'"):
        stress(run, tmp_path, MANIFEST, config, offer(), ["bfloat"])
    assert not list(tmp_path.iterdir())
