"""The page and the exports draw every kind of block, and what is hostile stays text."""

import dataclasses
import html.parser

import pytest

from mllm.reporting import collect, write_report
from mllm.reporting.charts import Bar, Dot, Intervals, Scatter, intervals_figure, scatter_figure
from mllm.reporting.heatmap import heat_map
from mllm.reporting.layout import Style
from mllm.reporting.section import (
    Answer,
    Bars,
    Card,
    Details,
    Drawing,
    Gallery,
    Grid,
    Heading,
    Heat,
    Link,
    Listing,
    Panel,
    Paragraph,
    Preformatted,
    Sample,
    Scores,
    Section,
    Shares,
)
from mllm.reporting.tables import headline_tables

HOSTILE = "</style><script>alert(1)</script>\"><img src=https://example.com/x onerror=alert(2)>'"


class Page(html.parser.HTMLParser):
    """Collect the elements, ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.events, self.ids, self.text = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data"):
                self.addresses.append(value)
            if name.startswith("on"):
                self.events.append(name)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.text.append(data)


def every_block(word):
    """Return the sections of a report: one with every kind of block, all saying `word`."""
    pixel = "data:image/png;base64,AAAA"
    style = Style("#0072B2")
    points = tuple(Dot((x, x, x), (y, y, y), f"{word}{x}", style) for x, y in ((1, 2), (3, 1)))
    draws = {
        "map": lambda theme: heat_map([[1, None], [50, 99]], [word, "b"], ["c", "d"], theme),
        "points": lambda theme: scatter_figure([Scatter("", points)], "x", "y", theme, front=True),
        "bars": lambda theme: intervals_figure(
            [word], [Intervals("", (Bar(0, (1, 0, 2), style),))], "x", theme
        ),
    }

    def sections(sweep, benchmark):
        table = headline_tables(sweep.comparisons[0])[0]
        sample = Sample(
            "s", word, word, word,
            (
                Answer(word, word, "valid", True),
                Answer(word, "", "refusal", False),
                Answer(word, "a", changes=(("same", word), ("gone", word), ("new", word))),
            ),
            (pixel,),
            bars=(Bars(word, ((word, 0.25), ("b", 0.75)), marked=(1,)),),
        )  # fmt: skip
        return [
            Section(
                "all",
                word,
                (
                    Paragraph(word),
                    Heading(word),
                    Scores(dataclasses.replace(table, title=word)),
                    Grid(word, (word, "n"), ((Link(word, "folded"), "1"),)),
                    Heat(word, (word, word, "n"), ((word, (0.1, None)), ("b", (-0.6, 0.0)))),
                    Shares(word, (word, "rest"), ((word, (0.25, 0.75)),)),
                    Drawing(
                        tuple(Panel(draw, word) for draw in draws.values()), word, 3, dict(draws)
                    ),
                    Gallery((Card("c", word, word, (sample,), (pixel,), word),)),
                    Listing(((word, word), (word, "other"))),
                    Preformatted(f"{word}\n  {word}"),
                    Details(word, (Paragraph(word),), "folded"),
                ),
                word,
            )
        ]

    return sections


@pytest.fixture(scope="module")
def pages(tmp_path_factory, write, report):
    """The reports with plain and with hostile words: their files by kind of word."""
    found = {}
    for name, word in (("plain", "word"), ("hostile", HOSTILE)):
        workdir = tmp_path_factory.mktemp("pages") / name
        for method in ("lookout", "large"):
            write(workdir, method, command=word, config={word: word})
        chosen = dataclasses.replace(
            report, sections=every_block(word), finding=lambda comparison, word=word: word
        )
        found[name] = write_report(workdir, chosen)
    return found


def test_every_block_is_on_the_page(pages):
    text = pages["plain"]["html"].read_text()
    page = Page(text)
    assert {"table", "figure", "article", "dl", "pre", "details", "picture"} <= set(page.tags)
    assert page.tags.count("picture") == 3 and text.count("<dt>word</dt>") == 1
    assert "word <del>word</del> <ins>word</ins>" in text
    assert "✓ right" in text and "✗ wrong" in text and "(empty)" in text
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= set(page.ids)
    figures = {path.name for path in pages["plain"]["figures"].iterdir()}
    assert figures == {f"{name}.{kind}" for name in ("map", "points", "bars")
                       for kind in ("svg", "png")}  # fmt: skip


def test_shades_say_which_side_and_how_far(pages):
    page = pages["plain"]["html"].read_text()
    for cell in ('class="high1">+10.0<', 'class="">–<', 'class="low4">−60.0<', 'class="">0.0<'):
        assert f"<td {cell}/td>" in page
    assert '<span class="kind0" style="width: 25.00%"></span>' in page and "25 / 75" in page


def test_hostile_words_stay_text(pages):
    text = pages["hostile"]["html"].read_text()
    page, plain = Page(text), Page(pages["plain"]["html"].read_text())
    assert page.tags == plain.tags and page.events == []
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert "<script" not in text and HOSTILE in "".join(page.text)
    assert "<" not in pages["hostile"]["markdown"].read_text()
    assert "<" not in pages["hostile"]["latex"].read_text()


def test_markdown_keeps_text_and_tables_and_leaves_out_the_folded(pages):
    text = pages["plain"]["markdown"].read_text()
    for line in ("## word", "### word", "| word | n |", "| word | 1 |", "- word: other", "  word"):
        assert f"\n{line}\n" in text
    assert "figure" not in text and "refusal" not in text
    assert "\n| b | −60.0 | 0.0 |\n" in text and "\n| word | 25.0 | 75.0 |\n" in text


def test_the_same_runs_give_the_same_bytes(tmp_path, write, report):
    for method in ("lookout", "large"):
        write(tmp_path, method)

    def snapshot():
        paths = write_report(tmp_path, report)
        return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}

    assert snapshot() == snapshot()
    assert not list(tmp_path.glob(".*"))


def test_a_missing_data_set_is_named_and_another_one_is_not_used(tmp_path, write, report):
    write(tmp_path, "large")

    class Other:
        fingerprint = "00" * 32
        info = property(lambda self: pytest.fail("another data set was used"))

    def missing(section):
        raise FileNotFoundError(section["name"])

    for found, message in ((missing, "was not found"), (lambda section: Other(), "is not the one")):
        chosen = dataclasses.replace(report, open_benchmark=found)
        assert message in write_report(tmp_path, chosen)["html"].read_text()
    assert len(collect(tmp_path, report.layout).runs) == 1
