"""docs/performance.md is what the results and the text give, and shows what was not measured."""

import json
import re

import pytest

from configs.bench import llava7b
from experiments.bench import page
from experiments.bench.lines import lines_of
from mllm.files import read_json, read_text


def test_the_page_is_what_its_results_give():
    made = page.page(read_text(page.TEXT), page.FOLDER)
    assert page.PAGE.read_text(encoding="utf-8") == made, "run python -m experiments.bench.page"
    assert "{{" not in made


def test_every_result_is_on_the_page_and_every_line_in_a_table():
    text = read_text(page.TEXT)
    shown = {name for _, names in page.ASKED.findall(text) for name in names.split()}
    assert {path.name for path in page.FOLDER.iterdir()} <= shown
    before = read_json(page.FOLDER / "h100_before.json")
    assert set(before["lines"]) == set(lines_of(llava7b.get_config().bench))


def figure(rate: float, **more) -> dict:
    spread = {"least": rate - 1, "most": rate + 1, "setting": "batch 8", "memory": None, "call": 0}
    return {"rate": rate, **spread, **more}


@pytest.fixture
def folder(tmp_path):
    call = {
        "date": "2026-01-02",
        "environment": {"device": "H100", "jax": "0.11", "git": "abcdef0123456789"},
        "machine": {"device": "H100", "flops": 7e14, "bytes": 2e12},
        "peer": {"torch": "2.0", "device": "H100"},
        "compile": {"programs": 3, "seconds": 4.5, "hits": 0},
    }
    known = {"share": 0.25, "share_of": "products", "limit": 40.0, "memory": 3e9}
    known |= {"first": 7.5, "compiled": {"programs": 4, "seconds": 2.0, "hits": 1}}
    lines = {
        "ga_single": {"ours": figure(10.0, **known), "peer": figure(5.0)},
        "choices": {"ours": None, "peer": figure(2.0)},
    }
    result = {"calls": [call], "equal": None, "lines": lines}
    (tmp_path / "before.json").write_text(json.dumps(result))
    result["lines"] = {"ga_single": {"ours": figure(20.0, **known), "peer": figure(4.0)}}
    (tmp_path / "now.json").write_text(json.dumps(result))
    return tmp_path


def row(lines: list[str], work: str) -> list[str]:
    (found,) = (line for line in lines if line.startswith(f"| {work} "))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_what_was_not_measured_says_so(folder):
    found = page.lines(folder, "nothing.json", "before.json")
    ga = row(found, "ga, a pair per row")
    assert ga[2:5] == ["5, batch 8", "10 (9-11)", "unmeasured"] and ga[5:] == [
        "2.0",
        "40 (8.0 times)",
        "25% of products",
        "7.5 s, 4 programs",
        "3.00 / -",
    ]
    assert row(found, "multiple choice")[2:6] == ["2, batch 8", "unmeasured", "unmeasured", "-"]
    assert "unmeasured" in page.job(folder, "nothing.json")[0]
    assert "unmeasured" in page.estimates(folder, "nothing.json")[0]
    assert "unmeasured" in page.trace(folder, "before.json", "ga_single")[0]


def test_the_latest_figures_give_the_ratio(folder):
    found = page.lines(folder, "now.json", "before.json")
    ga = row(found, "ga, a pair per row")
    assert ga[3:6] == ["10 (9-11)", "20 (19-21)", "5.0"] and ga[2] == "4, batch 8"
    assert any("commit abcdef" in line and "torch 2.0" in line for line in found)
    assert row(page.lines(folder, "now.json"), "ga, a pair per row")[3] == "20 (19-21)"


def test_estimates_stand_next_to_each_other(tmp_path):
    rows = [{"program": "ga", "before": [1.5, None], "after": [1.0, 2000.0]}, {"program": "npo"}]
    found = {"columns": ["peak", "bytes"], "rows": rows, "device": "d", "versions": "v", "date": ""}
    (tmp_path / "e.json").write_text(json.dumps(found))
    lines = page.estimates(tmp_path, "e.json")
    assert row(lines, "ga") == ["ga", "1.5", "1", "-", "2,000"]
    assert row(lines, "npo") == ["npo", "-", "-", "-", "-"]


def test_a_job_shows_each_command(tmp_path):
    step = {"seconds": 61.04, "host_bytes": 2e9, "device_bytes": None, "date": "2026-01-02"}
    step |= {
        "command": "python -m experiments.finetune --config=a.py --config.benchmark.data_dir=x"
    }
    steps = {"finetune": {**step, "compiled": {"seconds": 5.0}}}
    environment = {"device": "cpu", "jax": "1", "git": "abcdef01"}
    job = {"command": "python -m job", "environment": environment, "steps": steps, "note": "Busy."}
    (tmp_path / "job.json").write_text(json.dumps(job))
    first = page.job(tmp_path, "job.json")
    assert row(first, "`finetune") == ["`finetune --config=a.py`", "61.0", "5.0", "2.00", "-"]
    assert first[-1].endswith("commit abcdef0. Busy.")


def test_published_figures_have_a_source_and_a_limit():
    lines = page.published(page.FOLDER, "published.json")
    rows = [line for line in lines[2:] if line.startswith("|")]
    assert rows and all(re.search(r"\]\(https://\S+\)", line) for line in rows)
    fp8 = row(lines, "LLaMA-7B, 80 rows")
    assert (fp8[4], fp8[-1]) == ("2,346", "1,173")
