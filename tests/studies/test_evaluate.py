"""A number in a table is that of this run, these questions and these options, or there is none.

The system asks an invented oracle of rivers: nothing is trained, everything else is the real thing.
"""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from ml_collections import ConfigDict

from mllm.data.conversation import user
from mllm.evaluation.inspection import Inspection, read_inspection
from mllm.evaluation.places import FORMS as NAMED_FORMS
from mllm.evaluation.places import evaluation_name, protocol_of, with_options, without_options
from mllm.evaluation.request import Questions, Reply, Request, Text, content_key
from mllm.evaluation.review import Review, read_review
from mllm.files import read_json, read_jsonl, seal, without_seal, write_json
from mllm.ops.kv import FORMS as KV_FORMS
from mllm.reporting import Axis, Layout, collect
from mllm.reporting.report import merge_results
from mllm.studies import evaluate as room
from mllm.studies.answering import FORMS
from mllm.studies.evaluate import evaluate, measure_efficiency
from mllm.studies.run import Run
from mllm.studies.stage import Stage

RIVERS = {"Ebro": "Spain", "Loire": "France", "Tiber": "Italy", "Spree": "Germany"}
DATA = "d" * 64
LAYOUT = Layout("Rivers", (Axis("length"),), columns=("length",))
CALLS: list[str] = []


class Oracle:
    """Knows every river but one, and counts what it is asked."""

    identity = {"baseline": "oracle"}  # noqa: RUF012

    def answer(self, requests, done):
        for request in requests:
            if request.key not in done:
                CALLS.append(request.key)
                river = request.tags["river"]
                text = "Sweden" if river == "Spree" else RIVERS[river]
                yield [Reply(request.key, text[: request.ask.limit])]


def questions(config, benchmark, family) -> Questions:
    chosen = config.evaluation

    def rounds():
        asked = []
        for river in list(RIVERS)[: chosen.rivers]:
            turns, ask = (user(f"{chosen.words} {river}?"),), Text(chosen.limit)
            key = content_key(river, ask.limit, turns=turns)
            asked.append(Request(key, river, {"river": river}, turns, ask))
        yield asked

    def records(answered):
        return [
            {"river": one.tags["river"], "gold": RIVERS[one.tags["river"]], "reply": reply.text}
            for one, reply in answered
        ]

    return Questions(
        rounds(), {"protocol": {"limit": chosen.limit}}, records, {"letters": chosen.letters}
    )


def score(records, config) -> list[dict]:
    letters = config.evaluation.letters
    right = [row["gold"][:letters] == row["reply"][:letters] for row in records]
    value = {"value": sum(right) / len(right), "n": len(right), "ci95": [None, None]}
    rates = {"valid": 1.0, "refusal": 0.0, "invalid": 0.0}
    return [{"length": "all", "metric": "right", **value, **rates}]


def answer_with_oracle(benchmark, folder, parent):
    return Oracle()


SYSTEM = SimpleNamespace(
    AXES=("length",),
    stages=lambda config: {
        name: Stage(name, (), answerer=answer_with_oracle) for name in ("oracle", "twin")
    },
    labels=lambda config: {},
    part=lambda config: config.evaluation.part,
    questions=questions,
    score=score,
)
BENCHMARK = SimpleNamespace(fingerprint=DATA)


def config_of(**changes) -> ConfigDict:
    chosen = {"protocol": "short", "weights": "", "kv": "", "rows": 0, "part": "all"}
    chosen |= {"words": "Where is the", "limit": 20, "letters": 99, "rivers": 4, **changes}
    return ConfigDict({"seed": 0, "benchmark": {"name": "rivers"}, "evaluation": chosen})


def finished(workdir, method="oracle", digest="a" * 64) -> Run:
    run = Run(workdir / method, method, config_of())
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write("finished", checkpoint_digest=digest, data_fingerprint=DATA, cost={}, identity="i")
    return run


def asked(run, **changes):
    """Evaluate under changed options; return (evaluation, number of questions asked)."""
    CALLS.clear()
    found = evaluate(run, config_of(**changes), SYSTEM, BENCHMARK)
    return found, len(CALLS)


OPTIONS = {  # change -> (value, questions asked)
    "fewer tokens": ({"limit": 3}, 0.0, 4),
    "other words": ({"words": "In which country is the"}, 0.75, 4),
    "fewer questions": ({"rivers": 2}, 1.0, 2),
    "scored otherwise": ({"letters": 0}, 1.0, 0),
}


def test_evaluations_under_other_options_are_kept_side_by_side(tmp_path):
    """Each is found again without a question, and each has its own scores; whatever came first."""
    run = finished(tmp_path)
    first, count = asked(run)
    assert (first.entry["scores"][0]["value"], count) == (0.75, 4)
    assert first.folder == run.folder / "eval/short/all" and first.entry["protocol"] == "short"
    found = {}
    for name, (changes, value, asks) in OPTIONS.items():
        found[name], count = asked(run, **changes)
        assert (found[name].entry["scores"][0]["value"], count) == (value, asks), name
        assert found[name].entry["protocol"] == found[name].folder.parent.name
    everything = {first.folder, *(one.folder for one in found.values())}
    assert len(everything) == 1 + len(OPTIONS)
    whole = {path: path.read_bytes() for path in run.folder.glob("eval/*/all/*.json*")}
    assert len(whole) == 4 * len(everything)
    assert asked(run) == (first, 0)
    for name, (changes, *_) in OPTIONS.items():
        assert asked(run, **changes) == (found[name], 0), name
    assert whole == {path: path.read_bytes() for path in run.folder.glob("eval/*/all/*.json*")}

    sweep = collect(tmp_path, LAYOUT)
    assert not sweep.problems and [one.protocol for one in sweep.runs] == ["short"]
    assert [one.scores[0]["value"] for one in sweep.runs] == [0.75]
    merged = merge_results(sweep)["runs"]
    assert len({json.dumps(one["conditions"]) for one in merged}) == len(everything)
    assert len({one["protocol"] for one in merged}) == len(everything)


def test_rows_of_unlike_evaluations_share_no_table(tmp_path):
    for name, (changes, *_) in OPTIONS.items():
        workdir = tmp_path / name
        asked(finished(workdir))
        asked(finished(workdir, "twin", "b" * 64), **changes)
        sweep = collect(workdir, LAYOUT)
        assert [one.method for one in sweep.runs] == ["oracle"], name
        assert [problem.method for problem in sweep.problems] == ["twin"], name
        asked(Run(workdir / "twin", "twin", config_of()))
        sweep = collect(workdir, LAYOUT)
        assert [one.scores[0]["value"] for one in sweep.runs] == [0.75, 0.75] and not sweep.problems


def test_parts_stand_together_and_are_never_taken_for_each_other(tmp_path):
    run = finished(tmp_path)
    asked(run, part="all")
    asked(run, part="half", rivers=2)
    results = read_json(run.folder / "eval/short/results.json")
    assert [one["made_from"]["part"] for one in results["runs"]] == ["all", "half"]
    sweep = collect(tmp_path, LAYOUT)  # without a group, they are unlike questions
    assert len(sweep.runs) == len(sweep.others) == 1
    assert sweep.runs[0].records_path.parent.name == "all"


def test_a_model_is_inspected_once_and_nothing_else_is(tmp_path, monkeypatch):
    """The oracle in place of a model; new weights or options are measured again."""
    measured = []

    def inspected(each: int) -> SimpleNamespace:
        def measure(model):
            measured.append(each)
            return {"seen": isinstance(model, Oracle)}

        one = Inspection("insides", measure, {"each": each})
        asks = lambda *given: replace(questions(*given), inspections=(one,))  # noqa: E731
        return SimpleNamespace(**vars(SYSTEM) | {"questions": asks})

    run = finished(tmp_path)
    folder = evaluate(run, config_of(), inspected(1), BENCHMARK).folder
    assert measured == [] and not (folder / "insides.json").exists()
    monkeypatch.setattr(room, "LocalModel", Oracle)
    monkeypatch.setattr(Oracle, "features", None, raising=False)
    for each in (1, 1, 2):
        evaluate(run, config_of(), inspected(each), BENCHMARK)
    assert measured == [1, 2]
    manifest = read_json(folder / "manifest.json")
    found = read_inspection(folder, "insides", without_seal(manifest))
    assert found == {"seen": True, "options": {"each": 2}}
    evaluate(finished(tmp_path, digest="b" * 64), config_of(), inspected(2), BENCHMARK)
    assert measured == [1, 2, 2]


def test_records_are_reviewed_once_whatever_answered(tmp_path):
    """A run whose stage has another run's model asked of it takes that model's replies."""
    reviewed = []

    def reviewing(asks=(), fails=0, judge="a") -> SimpleNamespace:
        def review(records, folder, others):
            reviewed.append(len(records))
            texts = [
                reply.text
                for other in others.values()
                for lot in other.answer([Request("q", "Ebro", {"river": "Ebro"}, (), Text(9))], ())
                for reply in lot
            ]
            return {"rivers": len(records), "said": texts, "errors": fails}

        one = Review("opinions", review, {"judge": judge}, asks)
        asked = lambda *given: replace(questions(*given), reviews=(one,))  # noqa: E731
        return SimpleNamespace(**vars(SYSTEM) | {"questions": asked})

    run = finished(tmp_path)
    for fails in (1, 0, 0):
        folder = evaluate(run, config_of(), reviewing(fails=fails), BENCHMARK).folder
    assert reviewed == [4, 4]  # what failed was tried again, what was whole was not
    evaluate(run, config_of(), reviewing(judge="b"), BENCHMARK)
    assert len(reviewed) == 3
    evaluate(run, config_of(), reviewing(("oracle",), judge="c"), BENCHMARK)
    manifest = without_seal(read_json(folder / "manifest.json"))
    found = read_review(folder / "records.jsonl", "opinions", manifest)
    assert found["said"] == ["Spain"] and found["rivers"] == 4


def damages(content: bytes):
    """Yield the content of a JSON or JSONL file, changed in one place at a time."""
    lines = content.split(b"\n")
    for number, line in enumerate(lines):
        try:
            leaves = list(changed(json.loads(line if len(lines) > 2 else content)))
        except ValueError:
            break
        for leaf in leaves[:40]:
            text = json.dumps(leaf).encode()
            yield b"\n".join([*lines[:number], text, *lines[number + 1 :]])
        if number > 0:
            break
    else:
        return
    if not content.startswith(b'{"'):
        for leaf in changed(json.loads(content)):
            yield json.dumps(leaf).encode()
    yield content[:-20]
    yield content.replace(b"a", b"\0", 1)
    yield content[: len(content) // 2] + b"\0" * 16
    yield b""
    yield b"null\n"


def changed(value):
    """Yield a JSON value with one leaf changed or one key left out."""
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: new} for new in changed(value[key]))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from ([*value[:place], new, *value[place + 1 :]] for new in changed(one))
    elif isinstance(value, bool) or value is None:
        yield 0.125
    elif isinstance(value, str):
        yield value + "x"
    else:
        yield value + 0.125


def shown(workdir) -> dict:
    """Return every number of the report under everything that it is named by."""
    sweep = collect(workdir, LAYOUT)
    return {
        (one["method"], one["seed"], one["protocol"], one["checkpoint_digest"]): one["scores"]
        for one in merge_results(sweep)["runs"]
    }, [problem.reason for problem in sweep.problems]


def test_whatever_is_changed_on_disk_no_number_stands_under_a_wrong_name(tmp_path, capsys):
    """Walk all files of an evaluation; change one place at a time; report, then evaluate again."""
    asked(finished(tmp_path / "whole"))
    expected, problems = shown(tmp_path / "whole")
    assert expected and not problems
    files = [
        path.relative_to(tmp_path / "whole")
        for path in sorted((tmp_path / "whole/oracle/eval").rglob("*.json*"))
    ]
    assert len(files) == 5  # replies, records, manifest, scores, results
    counts = dict.fromkeys(files, 0)
    for file in files:
        for number, content in enumerate(damages((tmp_path / "whole" / file).read_bytes())):
            workdir = tmp_path / f"{file.name}-{number}"
            shutil.copytree(tmp_path / "whole", workdir)
            (workdir / file).write_bytes(content)
            found, problems = shown(workdir)
            assert found == expected or (not found and problems), (file, content)
            where = " ".join(problems)
            named = file.name in where or "results.json" in where
            assert found or named, (file, content, problems)
            asked(Run(workdir / "oracle", "oracle", config_of()))
            assert shown(workdir) == (expected, []), (file, content)
            shutil.rmtree(workdir)
            counts[file] += 1
    assert min(counts.values()) > 10, counts


def test_an_evaluation_of_another_run_is_not_taken_for_that_of_this_one(tmp_path):
    """Nor one of the same run before its weights became others."""
    first, second = finished(tmp_path), finished(tmp_path, "twin", "b" * 64)
    asked(first)
    asked(second, rivers=2)
    for file in sorted((second.folder / "eval").rglob("*.json*")):
        target = first.folder / file.relative_to(second.folder)
        kept = target.read_bytes()
        shutil.copy(file, target)
        found = {one.method: one for one in collect(tmp_path, LAYOUT).runs}
        assert "oracle" not in found or found["oracle"].scores[0]["n"] == 4, file
        target.write_bytes(kept)
    other = finished(tmp_path, "oracle", "c" * 64)
    (problem,) = [p for p in collect(tmp_path, LAYOUT).problems if p.name == "oracle"]
    assert "another checkpoint" in problem.reason
    found, count = asked(other)
    assert count == 4 and found.folder == first.folder / "eval/short/all"
    assert read_jsonl(next(found.folder.glob("replies-*.jsonl")))


def test_what_was_measured_belongs_to_its_evaluation(tmp_path, monkeypatch):
    run = finished(tmp_path)
    folder = asked(run)[0].folder
    measured = []
    monkeypatch.setattr(room, "load_for_evaluation", lambda run, config: SimpleNamespace(family=""))
    monkeypatch.setattr(room, "measure", lambda *_: measured.append(1) or {"prefill_ms": 2.5})
    modelled = SimpleNamespace(**{**vars(SYSTEM), "stages": lambda config: {}})
    modelled.stages = lambda config: {"oracle": Stage("oracle", ())}
    monkeypatch.setattr(room, "evaluate", lambda *_: None)
    for _ in range(2):
        measure_efficiency(run, folder, config_of(), modelled, BENCHMARK)
    assert measured == [1]
    assert asked(run)[0].entry["cost"] == {"efficiency": {"prefill_ms": 2.5}}
    path = folder / "efficiency.json"
    write_json(path, {**read_json(path), "prefill_ms": 0.1})
    assert asked(run)[0].entry["cost"] == {}
    write_json(path, seal({"prefill_ms": 0.1}, {"another": "manifest"}))
    assert asked(run)[0].entry["cost"] == {}
    measure_efficiency(run, folder, config_of(), modelled, BENCHMARK)
    assert measured == [1, 1]


@pytest.mark.parametrize("kv", ["", *KV_FORMS])
@pytest.mark.parametrize("weights", ["", *NAMED_FORMS])
def test_names_say_protocol_form_and_options(weights, kv):
    assert set(FORMS) == {"", *NAMED_FORMS}
    name = evaluation_name("paper", weights, kv)
    every = [evaluation_name("paper", w, k) for w in FORMS for k in ("", *KV_FORMS)]
    assert every.count(name) == 1
    manifest = {"checkpoint_digest": "a", "answerer": {"weights": weights}, "shots": 2}
    whole = with_options(name, manifest)
    assert whole.startswith(f"{name}@") and without_options(whole) == name
    assert protocol_of(whole) == protocol_of(name) == "paper"
    assert with_options(name, {**manifest, "checkpoint_digest": "b"}) == whole
    assert with_options(name, {**manifest, "shots": 3}) != whole
