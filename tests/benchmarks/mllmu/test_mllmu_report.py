"""The page and the exports: escaping, policy, sameness, pictures."""

import csv
import dataclasses
import html.parser
import io
import re
from typing import ClassVar

import pytest

from mllm.benchmarks import get_benchmark, get_report
from mllm.benchmarks.mllmu.report import REPORT
from mllm.benchmarks.mllmu.report.gallery import gallery
from mllm.benchmarks.mllmu.report.ranking import ranking_blocks
from mllm.files import read_jsonl
from mllm.reporting import collect, terminal_table, write_report
from mllm.reporting.text import clean_text, slug

HOSTILE = (
    "</style><script>alert(1)</script>\"><img src=https://example.com/x onerror=alert(2)>'"
    "{{7*7}}\x1b[31m\u202egnp.exe | `code` =1+1"
)


class Page(html.parser.HTMLParser):
    """Collect the elements and the addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.events, self.ids, self.text = [], [], [], [], []
        self.policy = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "background"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.events.append(name)
            if name == "id":
                self.ids.append(value)
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, sweep, write):
    """The report of a sweep whose models, questions, configs and names are hostile."""
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    workdir = tmp_path_factory.mktemp("hostile")
    sweep(workdir, methods=("vanilla", "ga"), profiles=profiles, text=HOSTILE)
    write(workdir, "vanilla", seed=1, profiles=profiles, text=HOSTILE, status=HOSTILE, name="odd")
    write(
        workdir,
        "ga",
        seed=1,
        profiles=profiles,
        text=HOSTILE,
        command=HOSTILE,
        config={HOSTILE: HOSTILE, "benchmark": {"config": HOSTILE}},
        environment={"jax": HOSTILE},
        name="=cmd|'x'!A0<b>",
    )
    return workdir, write_report(workdir, REPORT)


def test_page_is_closed_and_holds_no_script(reported):
    page = Page(reported[1]["html"].read_text())
    assert "default-src 'none'" in page.policy and "img-src data:" in page.policy
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert page.events == []
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)


def test_hostile_text_stays_text(hostile, reported):
    text = hostile[1]["html"].read_text()
    page, plain = Page(text), Page(reported[1]["html"].read_text())
    assert set(page.tags) <= set(plain.tags) | {"ul", "li"}
    assert page.events == [] and page.tags.count("style") == 1
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert clean_text(HOSTILE) in "".join(page.text)
    assert "\x1b" not in text and "\u202e" not in text and "<script" not in text


def test_hostile_text_in_the_exports(hostile):
    paths = hostile[1]
    markdown = paths["markdown"].read_text()
    assert "<" not in markdown and "\u202e" not in markdown
    latex = paths["latex"].read_text()
    assert "\\begin{tabular}" in latex and "<" not in latex
    for line in csv.reader(io.StringIO(paths["csv"].read_text())):
        assert not any(cell[:1] in ("=", "+", "@") for cell in line)
    assert "\x1b" not in terminal_table(hostile[0], REPORT)


def test_latex_table_has_even_rows(reported):
    latex = reported[1]["latex"].read_text()
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
    rows = [
        line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line
    ]
    assert len(rows) == 3 * 10
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {8}


@pytest.mark.thorough
@pytest.mark.slow
def test_the_same_runs_give_the_same_bytes(tmp_path, write):
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    for method in ("vanilla", "npo"):
        write(tmp_path, method, profiles=profiles)
    first = snapshot(write_report(tmp_path, REPORT))
    assert snapshot(write_report(tmp_path, REPORT)) == first
    assert not list(tmp_path.glob(".*"))


def snapshot(paths):
    files = [path for path in paths.values() if path.is_file()]
    files += sorted(paths["figures"].iterdir())
    return {path.name: path.read_bytes() for path in files}


def test_gallery_shows_portraits_answers_and_marks(reported):
    text = reported[1]["html"].read_text()
    assert text.count('class="portrait"') == 5
    assert "✓ right" in text and "✗ wrong" in text and "refusal" in text
    assert text.count('class="sample"') == 15


def test_a_missing_data_set_is_said_and_shows_no_portrait(hostile):
    assert "was not found" in hostile[1]["html"].read_text()


@pytest.mark.slow
def test_licences_and_citation_stand_where_the_data_set_is_found(tmp_path, write):
    class Found:
        fingerprint = "ab" * 32
        info: ClassVar = {
            "licences": {"data": "CC0 1.0", "portraits": "one: CC BY 4.0\ntwo: CC0 <b>"},
            "citation": "@inproceedings{key,\n  title={Forgetting & <i>keeping</i>},\n}",
        }

        def profiles(self, split):
            return []

    report = dataclasses.replace(REPORT, open_benchmark=lambda section: Found())
    write(tmp_path, "vanilla", profiles={"forget": 6, "retain": 6, "celebrity": 6})
    paths = write_report(tmp_path, report)
    page = paths["html"].read_text()
    assert page.count("<dt>portraits</dt>") == 1 and "<dd>one: CC BY 4.0</dd>" in page
    assert "<dd>two: CC0 &lt;b&gt;</dd>" in page
    assert "\n  title={Forgetting &amp; &lt;i&gt;" in page
    assert "- portraits: one: CC BY 4.0" in paths["markdown"].read_text()
    Found.fingerprint = "cd" * 32
    assert "CC BY" not in write_report(tmp_path, report)["html"].read_text()


def test_the_runs_stand_with_their_cost(reported):
    page, markdown = (reported[1][kind].read_text() for kind in ("html", "markdown"))
    assert "<td>120</td><td>42</td><td>4,200,000</td><td>4,200,000</td>" in page
    assert "| 120 | 42 | 4,200,000 | 4,200,000 |" in markdown


def test_the_report_is_found_by_name_and_agrees_with_the_study():
    assert get_report("mllmu") is REPORT
    assert REPORT.layout.axis_names == get_benchmark("mllmu").AXES
    with pytest.raises(ValueError, match="did you mean 'mllmu'"):
        get_report("mllm")


def test_the_gallery_marks_answers_as_the_protocol_scores_them(tmp_path, write, small_profiles):
    """By option text under the strict protocol, by the reply as published under paper."""
    for protocol in ("strict", "paper"):
        write(tmp_path / protocol, "vanilla", profiles=small_profiles, protocol=protocol)
        (comparison,) = collect(tmp_path / protocol, REPORT.layout).comparisons
        records = read_jsonl(comparison.runs["vanilla", ""][0].records_path)
        asked = {
            (row["set"], row["profile"], row["task"], row["modality"], row["index"]): row
            for row in records
        }
        marks = []
        for card in gallery(comparison, {}):
            for sample in card.samples:
                (answer,) = sample.answers
                (row,) = [
                    r for place, r in asked.items() if sample.id == slug("sample", 15, *place)
                ]
                if row["task"] != "classification":
                    continue
                means = [
                    total / count
                    for total, count in zip(
                        row["option_logprobs"], row["option_tokens"], strict=True
                    )
                ]
                chosen = "ABCD"[means.index(max(means))]
                right = (chosen if protocol == "strict" else row["reply"]) == row["gold"]
                shown = row["options"][chosen] if protocol == "strict" else row["reply"]
                assert (answer.right, answer.text) == (right, shown)
                marks.append(right)
        assert len(marks) > 3


def test_the_gallery_compares_written_replies_with_those_of_vanilla(reported):
    (comparison,) = collect(reported[0], REPORT.layout).comparisons
    compared = 0
    for card in gallery(comparison, {}):
        for sample in card.samples:
            vanilla = next(one for one in sample.answers if one.label == "Vanilla")
            assert vanilla.changes == ()
            for answer in sample.answers:
                old = [text for kind, text in answer.changes if kind != "new"]
                new = [text for kind, text in answer.changes if kind != "gone"]
                assert not answer.changes or " ".join(old) == vanilla.text
                assert not answer.changes or " ".join(new) == answer.text
                compared += bool(answer.changes)
            if sample.title.startswith("Multiple choice"):
                assert not any(answer.changes for answer in sample.answers)
    assert compared > 5
    assert "<ins>" in reported[1]["html"].read_text()


def test_one_seed_has_no_column_of_seeds_and_the_page_says_that_it_is_one(reported):
    (comparison,) = collect(reported[0], REPORT.layout).comparisons
    grid, rule, seeds = ranking_blocks(comparison)
    assert grid.heads[-1] == "On forget" and {len(row) for row in grid.rows} == {len(grid.heads)}
    assert "in each seed" not in rule.text and seeds.text.startswith("Every row is one seed")
    assert seeds.text in reported[1]["html"].read_text()
