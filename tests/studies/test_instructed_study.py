"""A study of a model that reads pictures under instructions: encoders that stay are looked through
once, stages change and renew what they say and nothing else, and evaluations keep how it read.
"""

import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_fused, make_processor, png

from configs import common
from mllm.checkpoints.folder import load_model
from mllm.data.conversation import Example, assistant, user
from mllm.evaluation.looks import explained, read_looks
from mllm.evaluation.request import Choices, Questions, Request, content_key
from mllm.evaluation.runner import LocalModel
from mllm.files import read_json, read_jsonl
from mllm.parallel.mesh import one_device
from mllm.studies import evaluate as room
from mllm.studies import train
from mllm.studies.beginning import changed, renewed
from mllm.studies.environment import digest
from mllm.studies.evaluate import evaluate
from mllm.studies.identity import identity, made_from
from mllm.studies.stage import Stage
from mllm.studies.train import ensure
from mllm.training.nll import nll

KEYS = ("seed", "model", "rows")


def noise(seed: int):
    pixels = np.random.default_rng(seed).integers(0, 256, (10 + seed, 16, 3), np.uint8)
    return png(Image.fromarray(pixels))


PICTURES = [noise(seed) for seed in range(3)]
TEXTS = ("Who is it?", "Where was Ada born?")


def make_config():
    config = common.get_config()
    config.benchmark.name = "places"
    shape = make_fused().config
    config.model = {"family": "fused", **asdict(shape)}
    config.processor.update(chat_format="llava", image_size=16)
    config.rows.update(tokens=64, supervised=16, answers=2)
    config.lora.update(rank=2)
    options = dict(epochs=1, rows=3, warmup=1, learning_rate=3e-3)
    config.encoders = common.stage(**options)
    config.tuned = common.stage(trainable="fusion+projector+lora", **options)
    config.evaluation.update(protocol="one", looks=2)
    config.log_every = 1
    return config


def stages(config):
    said = dict(objective=nll(), examples=lambda benchmark: benchmark.said)
    found = (
        Stage("encoders", KEYS, schedule=config.encoders, **said),
        Stage(
            "tuned",
            KEYS,
            parent="encoders",
            schedule=config.tuned,
            changes={"fusion.gate": "text"},
            fresh=("fusion",),
            **said,
        ),
    )
    return {stage.name: stage for stage in found}


def asked() -> list[Request]:
    pairs = [(picture, text) for picture in PICTURES for text in TEXTS]
    turns = [(user(picture, text),) for picture, text in pairs] + [(user("Who?"),)]
    ask = Choices(("London", "Paris"))
    return [Request(content_key(turns=turn), str(n), {}, turn, ask) for n, turn in enumerate(turns)]


def questions(config, benchmark, family) -> Questions:
    def rounds():
        yield asked()[:2]
        yield asked()[2:]

    return Questions(rounds(), {}, lambda answered: [{"n": len(answered)}])


SYSTEM = SimpleNamespace(
    AXES=(), stages=stages, labels=lambda config: {}, part=lambda config: "all",
    questions=questions, score=lambda records, config: [],
)  # fmt: skip


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_processor().save(folder)
    said = [
        Example(f"{n}{m}", str(n), (user(picture, text), assistant(("London", "Paris")[n % 2])))
        for n, picture in enumerate(PICTURES)
        for m, text in enumerate(TEXTS)
    ]
    path = folder / "tokenizer.json"
    return SimpleNamespace(said=said, tokenizer_path=path, fingerprint="data")


@pytest.fixture(scope="module")
def workdir(benchmark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    ensure("tuned", make_config(), folder, SYSTEM, benchmark)
    return folder


def equal(one, other) -> dict[str, bool]:
    """Whether each part of two trees of parameters is the same to the bit."""
    same = jax.tree.map(lambda a, b: bool((np.asarray(a) == np.asarray(b)).all()), one, other)
    return {name: all(jax.tree.leaves(tree)) for name, tree in same.items()}


@pytest.mark.slow
def test_only_the_parts_that_are_named_train(workdir):
    before, after = (load_model(workdir / name) for name in ("encoders", "tuned"))
    same = equal(before.variables["params"], after.variables["params"])
    assert same == {"decoder": True, "vision": True, "fusion": False, "projector": False}


@pytest.mark.slow
def test_parts_train_with_an_adapter_and_both_are_read_back(workdir):
    after = load_model(workdir / "tuned")
    adapter = after.variables["lora"]["decoder"]["layers"]
    assert any(np.asarray(leaf).any() for name in adapter for leaf in [adapter[name]["b"]])
    record = read_json(workdir / "tuned" / "run.json")
    assert after.digest() == record["checkpoint_digest"]
    trained = jax.tree.leaves(
        [after.variables["lora"], *(after.variables["params"][n] for n in ("fusion", "projector"))]
    )
    assert record["cost"]["trainable"] == sum(leaf.size for leaf in trained)


@pytest.mark.slow
def test_a_changed_configuration_is_that_of_the_trained_model(workdir):
    gates = {n: load_model(workdir / n).config.fusion.gate for n in ("encoders", "tuned")}
    assert gates == {"encoders": "text+vision", "tuned": "text"}
    made = read_json(workdir / "tuned" / "run.json")["made_from"]
    assert made["changes"] == {"fusion.gate": "text"} and made["fresh"] == ["fusion"]


@pytest.mark.slow
def test_training_on_features_is_training_on_pictures(workdir, benchmark, tmp_path, monkeypatch):
    assert len(list((workdir / "features").rglob("*.features"))) == len(PICTURES)
    shutil.copytree(workdir / "encoders", tmp_path / "encoders")
    monkeypatch.setattr(train, "made_of_pictures", lambda *_: None)
    ensure("tuned", make_config(), tmp_path, SYSTEM, benchmark)
    assert not (tmp_path / "features").exists()
    lines = [
        [line["loss"] for line in read_jsonl(folder / "tuned" / "metrics.jsonl")]
        for folder in (workdir, tmp_path)
    ]
    assert len(lines[0]) == 2
    np.testing.assert_allclose(*lines, rtol=1e-5)


@pytest.mark.slow
def test_an_evaluation_keeps_how_the_model_read_and_goes_on_after_a_kill(
    workdir, benchmark, monkeypatch
):
    config = make_config()
    run = ensure("tuned", config, workdir, SYSTEM, benchmark)
    found = evaluate(run, config, SYSTEM, benchmark)
    looks = read_looks(found.folder)
    shown = asked()[:-1]
    assert looks.keys == tuple(one.key for one in shown) and looks.shown.tolist() == [0, 1]
    expected = explained(LocalModel(load_model(run.folder)), shown, shown=2)
    np.testing.assert_allclose(looks.gates, expected.gates, atol=1e-5)
    np.testing.assert_allclose(looks.bank, expected.bank, atol=1e-5)
    for name in ("colour", "semantics"):
        np.testing.assert_allclose(looks.attention[name], expected.attention[name], atol=1e-5)
    # Stopped after all replies, before the looks were written: nothing is asked again.
    path, whole = found.folder / "looks.npz", (found.folder / "looks.npz").read_bytes()
    monkeypatch.setattr(LocalModel, "answer", lambda *_: pytest.fail("asked again"))
    for left in (None, whole[:100]):
        path.unlink()
        if left is not None:
            path.write_bytes(left)
        evaluate(run, config, SYSTEM, benchmark)
        again = read_looks(found.folder)
        assert again.keys == looks.keys
        np.testing.assert_array_equal(again.gates, looks.gates)
    # Finished, it looks at nothing.
    monkeypatch.setattr(room, "Watch", lambda *_: pytest.fail("looked again"))
    evaluate(run, config, SYSTEM, benchmark)


# Stages by themselves.


@pytest.fixture(scope="module")
def model():
    return make_fused(1)


def stage(**options) -> Stage:
    schedule = common.stage(trainable=options.pop("trainable", "params"))
    said = dict(schedule=schedule, objective=nll(), examples=lambda benchmark: ())
    return Stage("tuned", (), parent="encoders", **said, **options)


def test_changes_and_fresh_parts_are_in_the_identity_and_nothing_else_is():
    config = make_config()
    parents = {"encoders": "weights"}
    plain = made_from(stage(), config, "data", parents)
    # As it was before stages could change anything.
    assert identity(plain) == digest(["tuned", {}, "data", ["weights"]])
    others = [
        stage(changes={"fusion.gate": "text"}),
        stage(changes={"fusion.gate": "vision"}),
        stage(fresh=("fusion",)),
    ]
    found = {identity(made_from(one, config, "data", parents)) for one in others}
    assert len(found | {identity(plain)}) == 4


def test_changes_set_fields_and_keep_the_weights(model):
    found = changed(model, stage(changes={"fusion.gate": "uniform", "decoder.window": 7}))
    assert (found.config.fusion.gate, found.config.decoder.window) == ("uniform", 7)
    assert found.variables is model.variables
    assert changed(model, stage()) is model
    described = replace(model, variables={})  # as a plan sees it
    assert changed(described, stage(changes={"fusion.gate": "text"})).config.fusion.gate == "text"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fusion.queries": 9}, r"fusion/sets is float32\[3, 4, 16\] .*would be \S+\[3, 9, 16\]"),
        ({"fusion.layers": 3}, r"fusion/\S+ is \S+ .* and would be "),
        ({"fusion.gait": "text"}, r"\('fusion.gait'\): 'gait'; did you mean 'gate'"),
        ({"fusoin.gate": "text"}, r"did you mean 'fusion'"),
        ({"fusion.gate.kind": "text"}, r"'gate' is 'text\+vision', which has no fields"),
    ],
)
def test_changes_that_fit_no_field_or_other_weights_are_refused(model, changes, message):
    with pytest.raises(ValueError, match=f"stage 'tuned'.*{message}"):
        changed(model, stage(changes=changes))


def test_only_fresh_parts_are_drawn_anew_with_a_seed_of_the_stage(model):
    def drawn(seed: int):
        one = stage(fresh=("fusion", "projector"), trainable="fusion+projector")
        return renewed(model, one, seed, one_device()).variables["params"]

    first = drawn(3)
    kept = {"decoder": True, "vision": True, "fusion": False, "projector": False}
    assert equal(model.variables["params"], first) == kept
    assert all(equal(first, drawn(3)).values())
    assert not equal(first, drawn(4))["fusion"]
    whole = model.model.init(model.config, jax.random.key(3))["params"]
    assert not equal(first, whole)["fusion"]  # another stream than the first draw of that seed
    assert renewed(model, stage(), 3, one_device()) is model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fresh": ("fusions",)}, "did you mean 'fusion'"),
        ({"fresh": ("fusion",), "trainable": "projector"}, r"draws 'fusion' anew, but trains"),
        ({"fresh": ("fusion",), "trainable": "lora"}, r"but trains nothing"),
    ],
)
def test_fresh_parts_must_be_there_and_train(model, options, message):
    with pytest.raises(ValueError, match=message):
        renewed(model, stage(**options), 0, one_device())
