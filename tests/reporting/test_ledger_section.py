"""The report lists every trial and the choice; runs that were made while tuning are in no table."""

import dataclasses

import pytest

from mllm.evaluation.ledger import LEDGER, Ledger, Trial, Tuned, write_ledger
from mllm.files import read_json, write_json
from mllm.reporting import collect, write_report
from mllm.reporting.ledger import ledger_sections
from mllm.reporting.section import Details, Grid, Paragraph, every

HOSTILE = '=HYPERLINK("x")<script>alert(1)</script>|`\x1b[31m\u202e\\input{x}'


def made(rate: float, distance: float) -> Trial:
    return Trial(
        {"methods.small.rate": rate}, {"distance": distance, "kept": 0.5}, f"digest {rate}"
    )


LEDGER_OF_TWO = Ledger(
    rule="Nearest to the lookout.",
    decides=("distance",),
    read={"flags": 60, "horns": 20},
    seed=4,
    protocol="watch",
    data_fingerprint="5e",
    anchors={"lookout": "digest"},
    methods={
        "small": Tuned((made(0.1, 0.25), made(0.2, 0.125)), 1),
        "large": Tuned((made(0.3, 0.5), made(0.4, 0.75)), 0),
    },
)


@pytest.fixture
def tuned(tmp_path, write):
    """A folder of one run, two that were made while tuning, and the ledger."""
    write(tmp_path, "lookout")
    for name in ("small", "large"):
        config = {"benchmark": {"name": "signals"}, "tuning": True, "seed": 0}
        write(tmp_path, name, name=f"tuning/{name}", config=config)
    write_ledger(tmp_path, LEDGER_OF_TWO)
    return tmp_path


def section_of(folder, report):
    (section,) = ledger_sections(collect(folder, report.layout))
    return section


def test_every_trial_and_the_choice_are_listed(tuned, report):
    section = section_of(tuned, report)
    chosen, every_trial = every(section.blocks, Grid)
    assert chosen.heads == ("Method", "Values", "Distance", "Kept")
    assert chosen.rows == (
        ("Small", "rate 0.2", "12.5", "50.0"),
        ("Large", "rate 0.3", "50.0", "50.0"),
    )
    assert every_trial.rows == (
        ("Small", "1", "rate 0.1", "25.0", "50.0", ""),
        ("Small", "2", "rate 0.2", "12.5", "50.0", "chosen"),
        ("Large", "1", "rate 0.3", "50.0", "50.0", "chosen"),
        ("Large", "2", "rate 0.4", "75.0", "50.0", ""),
    )
    text = " ".join(block.text for block in every(section.blocks, Paragraph))
    assert "2 trials of each of 2 methods, with seed 4" in text
    assert "60 of flags, 20 of horns" in text and "Nearest to the lookout." in text
    assert sum(isinstance(block, Details) for block in section.blocks) == 1


@pytest.mark.parametrize("chosen, edge", [(0, True), (1, False), (2, True)])
def test_a_choice_at_the_edge_of_what_was_tried_is_told(tuned, report, chosen, edge):
    trials = tuple(made(rate, 0.5) for rate in (0.3, 0.2, 0.1))
    methods = {"small": Tuned(trials, chosen), "large": Tuned(trials, 1)}
    write_ledger(tuned, dataclasses.replace(LEDGER_OF_TWO, methods=methods))
    texts = [block.text for block in every(section_of(tuned, report).blocks, Paragraph)]
    told = [text for text in texts if "smallest or the largest value" in text]
    assert told == [text for text in told if " for Small; beyond" in text]
    assert len(told) == edge


def test_runs_made_while_tuning_stand_in_no_table(tuned, report):
    sweep = collect(tuned, report.layout)
    assert [run.method for run in sweep.runs] == ["lookout"] and not sweep.problems
    assert sweep.tuned == 2
    paths = write_report(tuned, report)
    assert "2 runs were made while tuning, and stand in no table" in paths["html"].read_text()
    assert [run["method"] for run in read_json(paths["results"])["runs"]] == ["lookout"]


def test_a_report_of_tuning_alone_is_refused(tuned, report):
    before = sorted(tuned.rglob("*"))
    with pytest.raises(
        ValueError, match=r"all 2 finished runs below it were made with config.tuning"
    ):
        write_report(tuned / "tuning", report)
    assert sorted(tuned.rglob("*")) == before


def test_a_changed_ledger_is_not_shown(tuned, report):
    value = read_json(tuned / LEDGER)
    write_json(tuned / LEDGER, {**value, "seed": 5})
    section = section_of(tuned, report)
    assert not every(section.blocks, Grid)
    first = every(section.blocks, Paragraph)[0].text
    assert (
        first.startswith(f"{LEDGER}: was changed after it was written") and str(tuned) not in first
    )


def test_a_sweep_without_trials_has_no_section(tmp_path, write, report):
    write(tmp_path, "lookout")
    assert ledger_sections(collect(tmp_path, report.layout)) == []


def test_names_and_values_of_a_ledger_are_inert(tuned, report):
    trial = Trial({HOSTILE: HOSTILE}, {HOSTILE: 0.5, "distance": 0.5}, HOSTILE)
    changes = {"rule": HOSTILE, "protocol": HOSTILE, "read": {HOSTILE: 1}}
    ledger = dataclasses.replace(LEDGER_OF_TWO, **changes, methods={HOSTILE: Tuned((trial,), 0)})
    write_ledger(tuned, ledger)
    paths = write_report(tuned, report)
    page = paths["html"].read_text(encoding="utf-8")
    assert "<script" not in page and "&lt;script&gt;" in page
    for kind in ("html", "markdown", "csv", "latex"):
        text = paths[kind].read_text(encoding="utf-8")
        assert "\x1b" not in text and "\u202e" not in text, kind
        assert kind in ("html", "csv") or "\\input{x}" not in text, kind
    cells = [line for line in paths["markdown"].read_text().splitlines() if "HYPERLINK" in line]
    assert cells and not any("<script" in line for line in cells)
