"""The report, on invented answers by the real protocol and the real scores."""

import dataclasses
import json
import re
from collections import defaultdict

import numpy as np
import pytest
from browser import CHROMIUM, Browser

from mllm.benchmarks.hear.report import REPORT
from mllm.benchmarks.hear.report.conditions import condition_table
from mllm.benchmarks.hear.report.differences import gap_grid, recognised_grid
from mllm.benchmarks.hear.report.facts import SHOWN, fact_grid
from mllm.benchmarks.hear.report.finding import finding
from mllm.benchmarks.hear.report.forgetting import forgetting_grid
from mllm.benchmarks.hear.report.gallery import gallery_section
from mllm.benchmarks.hear.report.layers import found_of, layer_section
from mllm.benchmarks.hear.report.picked import KEPT, LOST, UNHEARD, picked
from mllm.benchmarks.hear.report.rare import class_grid, set_table
from mllm.benchmarks.hear.report.recognition import (
    class_table,
    error_grid,
    families,
    family_grid,
    recognition_section,
)
from mllm.benchmarks.hear.report.sections import sections
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.hear.report.trust import check_all, told
from mllm.benchmarks.hear.report.words import word_grid
from mllm.evaluation.statistics import paired_difference
from mllm.reporting import collect, write_report
from mllm.reporting.section import Drawing, Gallery, Paragraph, every
from tests.benchmarks.hear import hear_invented as invented

pytestmark = pytest.mark.thorough
SEEDS = (0, 1)
HOSTILE = "</style><script>document.title='owned'</script><img src=https://example.com/leak.png>"


@pytest.fixture(scope="module")
def benchmark():
    return invented.benchmark()


@pytest.fixture(scope="module")
def made(tmp_path_factory, benchmark):
    """The folder of a study, and the records of its runs by method and seed."""
    workdir, records = tmp_path_factory.mktemp("hear") / "study", {}
    for method in (*invented.METHODS, *invented.CONTROLS, *invented.BRACKETS):
        for seed in SEEDS if method in (*invented.METHODS, "before") else SEEDS[:1]:
            said = (lambda text: f"{text} {HOSTILE}") if (method, seed) == ("facts", 0) else str
            run = invented.write_run(workdir, method, benchmark, seed=seed, said=said)
            records[method, seed] = run
    return workdir, records


@pytest.fixture(scope="module")
def study(made, benchmark):
    return Study(collect(made[0], REPORT.layout).comparisons[0], benchmark)


def right_of(records, **chosen) -> dict[tuple, float]:
    """Whether relation questions were answered right, counted without the package's scores."""
    asked = [r for r in records if r["task"] == "relations"]
    asked = [r for r in asked if all(r[name] == value for name, value in chosen.items())]
    return {(r["clip"], r["relation"], r["term"]): float(r["said"] == r["yes"]) for r in asked}


def rows_of(table) -> dict[str, dict[str, float | None]]:
    names = [" ".join(column.labels) for column in table.columns]
    return {
        row.label: dict(zip(names, (entry.value for entry in row.entries), strict=True))
        for row in table.rows
    }


def number(text: str) -> float:
    return float(text.split()[0].replace("−", "-").rstrip(","))


def test_brackets_hold(study):
    checks = check_all(study)
    assert {(c.subject.label, c.place) for c in checks} >= {
        ("Oracle", "T"), ("Oracle", "R"), ("Always yes", "A"), ("Random", "C"),
        ("Without sound", "A"), ("Commonest label", "R"),
    }  # fmt: skip
    assert all(
        check.holds for check in checks if check.subject.method in ("oracle", "always_yes", "prior")
    )
    assert ("Without sound", "T") not in {(c.subject.label, c.place) for c in checks}
    assert "Not run" not in told(study, checks)


def test_the_table_counts_records(made, study):
    rows = rows_of(condition_table(study, study.models))
    for relation, name in (("parent", "Parent"), ("label", "Label")):
        for condition, head in (("T", "Label"), ("A", "Sound"), ("R", "Other sound")):
            for method, words in (("captions", "Captions"), ("facts", "Captions and facts")):
                asked = [
                    right_of(made[1][method, seed], relation=relation, condition=condition)
                    for seed in SEEDS
                ]
                wanted = np.mean([np.mean([*one.values()]) for one in asked])
                assert rows[name][f"{words} {head}"] == pytest.approx(wanted)


def test_gaps_are_differences_question_by_question(made, study):
    grid = {row[0]: row for row in gap_grid(study).rows}
    for relation in ("synonym", "parent", "grandparent"):
        by_seed = []
        for seed in SEEDS:
            asked = [
                right_of(made[1]["captions", seed], relation=relation, condition=condition)
                for condition in ("T", "A")
            ]
            by_seed.append(100 * np.mean([asked[0][key] - asked[1][key] for key in asked[1]]))
        row = grid[f"Captions: {relation}"]
        assert number(row[1]) == pytest.approx(np.mean(by_seed), abs=0.06)
        assert [number(one) for one in row[-1].split(", ")] == pytest.approx(by_seed, abs=0.06)
    recognised = {row[0]: row for row in recognised_grid(study).rows}
    assert {"Captions: parent", "Captions: grandparent"} <= set(recognised)


def test_consistency_counts_clips_whose_label_got_a_yes(made, study):
    shares = []
    for seed in SEEDS:
        asked = [r for r in made[1]["captions", seed] if r["task"] == "relations"]
        asked = [r for r in asked if r["condition"] == "A" and r["yes"]]
        known = {r["clip"] for r in asked if r["relation"] == "label" and r["said"]}
        said = [r["said"] for r in asked if r["relation"] == "parent" and r["clip"] in known]
        shares.append(np.mean(said))
    row = next(row for row in recognised_grid(study).rows if row[0] == "Captions: parent")
    assert number(row[-1]) == pytest.approx(100 * np.mean(shares), abs=0.06)


def test_facts_are_compared_on_the_same_questions(made, study):
    values, clusters = {}, {}
    for method in ("facts", "captions"):
        asked = [
            right_of(made[1][method, seed], relation="parent", condition="A") for seed in SEEDS
        ]
        values[method] = {key: np.mean([one[key] for one in asked]) for key in asked[0]}
    for record in made[1]["facts", 0]:
        clusters[record["clip"]] = record["cluster"]
    keys = sorted(values["facts"])
    pairs = [[values[method][key] for key in keys] for method in ("facts", "captions")]
    wanted = paired_difference(*pairs, [clusters[clip] for clip, *_ in keys])
    grid = {row[0]: row for row in fact_grid(study, SHOWN).rows}
    row = grid["Parent: sound"]
    assert number(row[1]) == pytest.approx(100 * wanted.difference, abs=0.06)
    assert row[-1] == "better" and grid["Synonym: sound"][-1] == "not told apart"


def test_what_is_forgotten_is_counted_question_by_question(made, study):
    differences = []
    for seed in SEEDS:
        after, before = (
            right_of(made[1][method, seed], relation="parent", condition="T")
            for method in ("captions", "before")
        )
        differences.append(100 * np.mean([after[key] - before[key] for key in before]))
    grid = {row[0]: row for row in forgetting_grid(study, [study.subject("captions")]).rows}
    _, before, after, difference, seeds, verdict = grid["Captions: parent"]
    assert (before, number(difference)) == ("100.0", pytest.approx(np.mean(differences), abs=0.06))
    assert [number(one) for one in seeds.split(", ")] == pytest.approx(differences, abs=0.06)
    assert number(after) - 100 == pytest.approx(number(difference), abs=0.11)
    assert "Captions: all relations" in grid and verdict in ("worse", "not told apart")
    assert "Learning to hear, it forgot about words (−" in finding(study.comparison)


def test_the_finding_says_what_the_numbers_say(study):
    text = finding(study.comparison)
    assert text.startswith("The model taught by captions names the class of")
    lost = text.partition("than given the sound, about ")[2].partition(".")[0]
    assert all(word in text for word in ("synonyms (+", "parents (+", "grandparents (+")), text
    assert lost and "These are means over 2 seeds." in text
    assert "its answers from sounds are better about parents (+" in text
    left = text.rpartition("those about ")[2]
    assert "synonyms" in left and "; parents" not in left and ", parents" not in left


def test_of_a_model_that_hears_nothing_it_is_said(tmp_path, benchmark, monkeypatch):
    deaf = {"captions": invented.CONTROLS["blind"], "facts": invented.CONTROLS["blind"]}
    monkeypatch.setattr(invented, "METHODS", deaf)
    for method in deaf:
        invented.write_run(tmp_path / "s", method, benchmark)
    text = finding(collect(tmp_path / "s", REPORT.layout).comparisons[0])
    assert "what it reasons from sounds cannot be judged." in text
    assert "better about" not in text and "This is one seed." in text
    monkeypatch.setitem(invented.CONTROLS, "before", invented.CONTROLS["blind"])
    invented.write_run(tmp_path / "s", "before", benchmark)
    text = finding(collect(tmp_path / "s", REPORT.layout).comparisons[0])
    assert "About words it is right as often as before it learned to hear (" in text


def test_errors_along_the_tree_add_up(made, study):
    rows = {row[0]: row for row in error_grid(study).rows}
    assert rows["Oracle"][2:] == ("100.0", "0.0", "0.0", "0.0")
    for row in rows.values():
        assert sum(map(float, row[2:])) == pytest.approx(100, abs=0.3)
    met = families(study, study.subject("captions"))
    asked = [
        r for seed in SEEDS for r in made[1]["captions", seed]
        if (r["task"], r["condition"]) == ("direct", "plain")
    ]  # fmt: skip
    known = [r for r in asked if r["top"] is not None]
    assert sum(met.values()) == len(known) and set(met) >= {("bird", "bird")}
    grid = {row[0]: row[1:] for row in family_grid(study, study.subject("captions")).rows}
    birds = sum(count for (true, _), count in met.items() if true == "bird")
    assert number(grid["bird"][0]) == pytest.approx(100 * met["bird", "bird"] / birds, abs=0.06)
    shown = rows_of(class_table(study, study.subject("captions")))
    wanted = np.mean([r["metrics"]["accuracy"] for r in asked])
    assert shown["Log-probability of the class"]["accuracy"] == pytest.approx(wanted)
    assert shown["Caption, by its words, shuffled"]["accuracy"] < 0.5


def test_rare_classes_have_rows(benchmark, study):
    assert [row[0] for row in class_grid(study, True).rows] == list(benchmark.rare)
    assert len(class_grid(study, False).rows) == len(benchmark.ontology.leaves) - 2
    names = [row.label for row in set_table(study).rows]
    assert names == [
        f"{one}: {name}"
        for one in ("Captions", "Captions and facts")
        for name in ("rare classes", "other classes")
    ]


def test_metrics_that_need_thresholds_are_shown_where_these_were_chosen(study):
    names = [column.labels[0] for column in set_table(study).columns]
    assert "mAP" in names and not {"F1", "recall"} & {*names}  # no validation clips were asked
    assert class_grid(study, True).heads[2:] == (
        "Captions: average precision",
        "Captions and facts: average precision",
    )
    text = " ".join(block.text for block in every(recognition_section(study).blocks, Paragraph))
    assert "Shuffled" in text and "threshold" not in text


def test_representations_are_read_where_they_belong(made, study):
    one = study.subject("captions")
    assert len(found_of(one)) == len(SEEDS)
    kept = next((made[0] / "seed0/captions").glob("eval/*/*/representation.json"))
    section = layer_section(study)
    drawings = every(section.blocks, Drawing)
    assert len(drawings) == 4 and len(drawings[-1].panels) == 2 * 3  # a panel for each layer
    words = word_grid(found_of(one)[0]).rows
    assert words[0][0] == "grouse" and "whistle 50.0" in words[0][-1]
    whole = kept.read_text()
    kept.write_text(whole.replace("whistle", "rattle"))
    assert len(found_of(one)) == len(SEEDS) - 1  # it was changed
    kept.write_text(whole)


def test_clips_of_the_gallery_are_what_their_title_says(made, study):
    kinds = defaultdict(list)
    for kind, clip in picked(study):
        kinds[kind].append(clip)
    assert (
        kinds[LOST]
        and kinds[UNHEARD]
        and len({clip for clips in kinds.values() for clip in clips}) > 4
    )
    for kind, clips in kinds.items():
        for clip in clips:
            heard = right_of(made[1]["captions", 0], clip=clip, condition="A", yes=True)
            label = [value for key, value in heard.items() if key[1] == "label"]
            assert label == [float(kind != UNHEARD)]
            if kind == KEPT:
                asked = right_of(made[1]["captions", 0], clip=clip, condition="A")
                assert all(v for k, v in asked.items() if k[1] in invented.ABOVE)


@pytest.fixture(scope="module")
def page(made, benchmark):
    chosen = dataclasses.replace(REPORT, open_benchmark=lambda section: benchmark)
    return write_report(made[0], chosen)["html"]


def test_numbers_and_figures_are_written(made, page):
    results = json.loads((made[0] / "results.json").read_text())
    assert results["axes"] == ["task", "relation", "condition"] and len(results["runs"]) == 11
    names = {path.stem for path in (made[0] / "figures").glob("*.svg")}
    assert {
        "relations_captions",
        "gaps_facts",
        "facts_A",
        "families",
        "alignment_captions",
    } <= names
    assert {"probes_facts_leaf", "plane_facts"} <= names
    text = page.read_text()
    assert re.findall('<section id="([^"]*)">', text) == [
        "trust", "relations", "facts", "forgetting", "classes", "rare", "layers", "gallery",
        "curves", "reproduce",
    ]  # fmt: skip
    assert "<script" not in text and "&lt;script&gt;" in text and "Licences" in text


PLAY = """(async () => {
  const sounds = [...document.querySelectorAll("audio")];
  for (const sound of sounds) {
    sound.playbackRate = 8;
    const ended = new Promise((done, failed) => {
      sound.addEventListener("ended", done);
      sound.addEventListener("error", failed);
    });
    await sound.play();
    await ended;
  }
  return sounds.map(sound => sound.currentTime);
})()"""


@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary was found on the path")
def test_every_sound_plays_and_nothing_is_asked_for(page, study, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        played = browser.evaluate(PLAY)
        assert len(played) == len(picked(study)) and min(played) > 0.15
        assert browser.evaluate("document.title") == "What do MLLMs hear?: study"
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.evaluate(wide) == 0
        assert browser.requests == [] and browser.messages == []


def test_without_the_data_the_gallery_says_so(study):
    section = gallery_section(Study(study.comparison))
    assert "The data set is not on this machine" in section.blocks[0].text
    (gallery,) = every(section.blocks, Gallery)
    assert not any(sample.sounds for card in gallery.cards for sample in card.samples)


def test_a_study_without_models_is_a_page(tmp_path, benchmark):
    invented.write_run(tmp_path / "s", "oracle", benchmark)
    sweep = collect(tmp_path / "s", REPORT.layout)
    found = sections(sweep, benchmark)
    assert [one.id for one in found] == ["trust", "relations", "curves"]
    assert "No model that hears was evaluated yet." in finding(sweep.comparisons[0])
