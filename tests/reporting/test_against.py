"""Two studies side by side: pairs, differences, refusals, and hostile words in every file."""

import csv
import html.parser
import io
import shutil

import numpy as np
import pytest

from mllm.evaluation.statistics import paired_difference
from mllm.reporting import write_comparison
from mllm.reporting.against import difference_tables, read_studies
from tests.reporting.conftest import question_values, reply_rows
from tests.sealing import seal_results

HOSTILE = (
    "=1+1</style><script>alert(1)</script>\"><img src=https://example.com/x onerror=alert(2)>'"
    "\x1b[31m\u202egnp.exe | `code` \\input{x} $x$ {{7*7}}"
)


class Page(html.parser.HTMLParser):
    """The elements of a page and what stands in them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.events, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]
        self.events += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        self.text += data


def study(folder, write, methods, *, trained=0, **changes):
    """Write runs of seeds 0 and 1; their replies are those of the seeds `trained` higher."""
    for method in methods:
        for seed in (0, 1):
            made = write(folder, method, seed=seed + trained, **changes)
            for file in made.rglob("*.json"):
                text = file.read_text().replace(f'"seed": {seed + trained}', f'"seed": {seed}')
                file.write_text(text)
            seal_results(made / "eval/watch/results.json")
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory, write):
    """Two studies that both have the lookout and the large model."""
    root = tmp_path_factory.mktemp("two")
    first = study(root / "first", write, ("lookout", "small", "large"))
    second = study(root / "second", write, ("lookout", "large", "later"), trained=7)
    return first, second


def test_rows_of_both_are_compared_question_by_question(two, report):
    *_, (pairing,) = read_studies(*two, report.layout)
    assert [*pairing.pairs] == [("lookout", ""), ("large", "")]
    assert pairing.alone == ((("small", ""), "A"), (("later", ""), "B"))
    cell = ("lamps", "fog", "read")
    answers = {
        study: [question_values(reply_rows("large", seed, None), "watch")[cell] for seed in seeds]
        for study, seeds in (("A", (0, 1)), ("B", (7, 8)))
    }
    places = [*answers["A"][0]]
    ours, theirs = (
        [np.mean([one[place] for one in answers[name]]) for place in places] for name in "AB"
    )
    expected = paired_difference(theirs, ours, [place[0] for place in places])
    found = pairing.tested[("large", ""), cell]
    assert found.difference == pytest.approx(expected.difference)
    assert found.p_value == pytest.approx(expected.p_value)
    assert len(pairing.tested) == 2 * 6  # one family: two rows, six columns
    least = min(one.p_value for one in pairing.tested.values())
    assert least < min(one.corrected for one in pairing.tested.values()) <= 12 * least
    tables = {table.cells[0][0]: table for table in difference_tables(pairing)}
    (row,) = [row for row in tables["lamps"].rows if row.key == ("large", "")]
    entry = row.entries[tables["lamps"].cells.index(cell)]
    assert row.note == "2 seeds"
    assert entry.value == pytest.approx(expected.difference) and entry.strong == found.clear
    assert (entry.low, entry.high) == pytest.approx((found.low, found.high))


def test_a_study_does_not_differ_from_its_copy(tmp_path, two, report):
    shutil.copytree(two[0], tmp_path / "copy")
    paths, text = write_comparison(two[0], tmp_path / "copy", report)
    lines = [*csv.DictReader(io.StringIO(paths["csv"].read_text()))]
    assert len(lines) == 3 * 6 and {line["method"] for line in lines} == {
        "lookout", "small", "large",
    }  # fmt: skip
    for line in lines:
        assert float(line["difference"]) == float(line["ci95_low"]) == 0.0
        assert float(line["corrected_p_value"]) == 1.0
    assert "None differs distinguishably" in text
    assert "are equal, but for places and seeds" in paths["html"].read_text()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"manifest": {"protocol": {"limit": 32}}}, "manifest.protocol.limit is 32, theirs is 16"),
        ({"manifest": {"tuning": True}}, "manifest.tuning is True, theirs is 'nothing'"),
        ({"data_fingerprint": "cd" * 32}, "data_fingerprint is 'cdcd"),
        ({"protocol": "paper"}, "protocol is 'paper', theirs is 'watch'"),
        ({"port": "south", "manifest": {"shots": 1}}, "manifest.shots is 1"),
        ({"port": "south"}, "no method in common"),
        ({"config": {"benchmark": {"name": "birds"}}}, "benchmark 'birds', expected 'signals'"),
        ({"status": "started"}, "no run can stand in a table"),
    ],
)
def test_unlike_studies_are_refused_and_nothing_is_written(tmp_path, write, report, change, reason):
    write(tmp_path / "one", "large")
    write(tmp_path / "two", "large", **change)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        write_comparison(tmp_path / "one", tmp_path / "two", report)
    assert sorted(tmp_path.rglob("*")) == before


def test_hostile_words_are_inert_in_every_file(tmp_path, write, report):
    """Methods, configurations, runs that are left out, and the name of the folder."""
    odd = {"config": {"benchmark": {"name": "signals"}, HOSTILE: HOSTILE}}
    for name in ("plain", '=odd"><b onclick=x>'):
        write(tmp_path / name, "large", **(odd if name != "plain" else {}))
        write(tmp_path / name, HOSTILE, name="one")
        write(tmp_path / name, f"{HOSTILE}{name == 'plain'}", name="two")
        write(tmp_path / name, "small", name="=cmd|'<i>", status=HOSTILE)
    paths, text = write_comparison(tmp_path / "plain", tmp_path / name, report)
    assert all(path.parent == tmp_path / "plain" for path in paths.values())
    assert {path.name for path in paths.values()} == {
        f"against_odd-b-onclick-x.{ending}" for ending in ("html", "md", "csv", "tex")
    }
    page = paths["html"].read_text()
    found = Page(page)
    assert not {"script", "img", "i"} & set(found.tags) and found.events == []
    assert all(address[0] == "#" for address in found.addresses)
    assert found.tags.count("style") == 1 and "alert(1)" in found.text
    for shown in (page, text, *(path.read_text() for path in paths.values())):
        assert "\x1b" not in shown and "\u202e" not in shown
    markdown, latex = paths["markdown"].read_text(), paths["latex"].read_text()
    assert "<" not in markdown and "large" in markdown.lower()
    assert "\\input" not in latex and "$x$" not in latex and "<" not in latex
    assert "\\begin{tabular}" in latex
    for line in csv.reader(io.StringIO(paths["csv"].read_text())):
        assert not any(cell[:1] in ("=", "+", "@") for cell in line)


def test_the_page_names_both_studies_and_what_differs(tmp_path, write, report):
    write(tmp_path / "one", "large")
    write(
        tmp_path / "two",
        "large",
        config={"benchmark": {"name": "signals", "config": "day"}, "rate": 0.3, "seed": 0},
        environment={"git": "abcdef0123456"},
    )
    paths, text = write_comparison(tmp_path / "one", tmp_path / "two", report)
    page = Page(paths["html"].read_text())
    for words in ("two; seeds 0; commit abcdef0123", "A: 0.1; B: 0.3", "both studies have 1 row."):
        assert words in page.text or words in text
    assert "Large (A)" in page.text and "Large (B)" in page.text
