"""CLIP as the judge of a study."""

import numpy as np
import pytest
from micro import make_config
from tiny_clip import write_clip

from mllm.benchmarks.cobsat import study
from mllm.benchmarks.cobsat.judge import CLIP, Judge, compared_texts
from mllm.benchmarks.cobsat.protocol import judge_request
from mllm.benchmarks.cobsat.scores import read_numbers
from mllm.benchmarks.cobsat.tasks import KINDS, WORDS, Pair
from mllm.data.conversation import image
from mllm.evaluation.contrastive import clip_answerer
from mllm.files import read_json, read_jsonl
from mllm.studies.evaluate import evaluate
from mllm.studies.train import ensure

PART = "eval/rounds/default"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    write_clip(folder)
    return folder


def config_of(data_dir, folder, forms=CLIP):
    config = make_config(data_dir)
    config.judge.folder, config.evaluation.judge.forms = str(folder), forms
    return config


@pytest.mark.parametrize(
    "theme, side, first, last",
    [
        ("color", "detail", "a yellow object", "a black object"),
        ("background", "detail", "an animal on a beach", "an animal on the seafloor"),
        ("style", "detail", "an object in watercolor style", "an object in old style"),
        ("action", "detail", "an animal swimming", "an angry animal"),
        ("texture", "detail", "an object made of wood", "an object made of ceramic"),
        ("color", "object", "a leaf", "an apple"),
        ("action", "object", "a zebra", "a bird"),
    ],
)
def test_texts_leave_the_other_side_open(theme, side, first, last):
    texts = compared_texts(theme, side, "clip")
    assert (texts[0], texts[-1], len(set(texts))) == (first, last, 10)


def test_bare_words_are_those_that_questions_show():
    assert compared_texts("style", "detail", "clip_words")[8] == "wireframe"
    assert compared_texts("style", "object", "clip_words") == WORDS["object"]


@pytest.mark.thorough
def test_a_study_is_judged_by_the_closest_text(squares, folder, tmp_path):
    config, benchmark = config_of(squares[0], folder), squares[1]
    run = ensure("oracle", config, tmp_path, study, benchmark)
    ensure("judge", config, tmp_path, study, benchmark)
    evaluate(run, config, study, benchmark)
    manifest = read_json(tmp_path / "oracle" / PART / "manifest.json")
    answerer = clip_answerer(folder)
    assert manifest["asked"]["judge"]["answerer"] == answerer.identity
    records = read_jsonl(tmp_path / "oracle" / PART / "records.jsonl")
    shown = [record for record in records if record["mode"] == "image"]
    assert len(shown) == 2 * (3 + 2)
    for record in shown:
        assert list(record["judged"]) == ["clip", "clip_words"] and record["rule"] == "clip"
        theme, truth = record["theme"], record["truth"]
        picture = image(benchmark.picture(*Pair(theme, truth["detail"], truth["object"])))
        for form in CLIP:
            for side, words in (("detail", theme), ("object", KINDS[theme])):
                asked = judge_request(theme, side, form, picture, Judge(forms=CLIP))
                ((reply,),) = answerer.answer([asked], set())
                closest = WORDS[words][read_numbers(reply.logprobs) - 1]
                assert record["judged"][form][side] == closest
        assert record["metrics"]["detail"] == (
            record["judged"]["clip"]["detail"] == truth["detail"]
        )
    (entry,) = read_json(run.folder / "eval" / "rounds" / "results.json")["runs"]
    found = {(x["task"], x["shots"], x["prompt"], x["mode"], x["metric"]): x["value"]
             for x in entry["scores"]}  # fmt: skip
    cell = ("all", "all", "default", "image")
    of_cell = [record for record in shown if record["prompt"] == "default"]
    share = np.mean([record["metrics"]["overall"] for record in of_cell])
    assert found[(*cell, "overall")] == found[(*cell, "overall_clip")] == share
    assert (*cell, "overall_clip_words") in found


@pytest.mark.parametrize(
    "named, forms, message",
    [
        (True, ("taught",), r"a CLIP, .* found the forms \['taught'\]: set .* \('clip', "),
        (True, ("clip", "numbers"), r"found the forms \['numbers'\]"),
        (False, ("clip",), r"config.judge.folder is '', .* CLIP needs a folder, found .*'clip'"),
    ],
)
def test_a_judge_that_cannot_be_asked_so_is_refused(squares, folder, named, forms, message):
    with pytest.raises(ValueError, match=message):
        study.stages(config_of(squares[0], folder if named else "", forms))


def test_a_vision_language_model_is_not_asked_as_clip_is(squares, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ValueError, match=r"published questions alone, found the forms \['clip'\]"):
        study.stages(config_of(squares[0], tmp_path, ("clip",)))
