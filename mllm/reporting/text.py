"""Make text that a model or a data set wrote safe to show, in each format of the report.

HTML needs none of the escapes here: the template engine escapes everything it inserts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# CSI sequences (colours, cursor), OSC sequences (titles, links) and the two-byte escapes.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
# Persian and Indic scripts need these two joiners; every other invisible format character goes.
_KEPT_FORMAT_CHARACTERS = frozenset("\u200c\u200d")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def clean_text(value: object, limit: int | None = None) -> str:
    """Return `value` as one line of visible text.

    Terminal sequences, control characters, and the invisible format characters (among them those
    that reverse the reading direction) are removed; lone surrogates become U+FFFD, because no
    file encoding holds them; white space is collapsed. With `limit`, the text has at most that
    many characters and ends in an ellipsis where it was cut.
    """
    text = _ANSI.sub("", str(value))
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Zl", "Zp") or character in "\n\r\t\v\f":
            kept.append(" ")
        elif category == "Cs":
            kept.append("\ufffd")
        elif category == "Cf" and character not in _KEPT_FORMAT_CHARACTERS:
            continue
        elif category != "Cc":
            kept.append(character)
    text = " ".join("".join(kept).split())
    if limit is not None and len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text


def escape_markdown(value: object) -> str:
    """Clean and escape a value for a Markdown table cell or paragraph; HTML in it stays text."""
    text = clean_text(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def escape_latex(value: object) -> str:
    """Clean a value and escape the characters that LaTeX reads as commands."""
    return "".join(_LATEX.get(character, character) for character in clean_text(value))


def guard_csv(value: object) -> str:
    """Clean a text cell; an apostrophe goes before what a spreadsheet would run as a formula."""
    raw = str(value)
    text = clean_text(raw)
    starts_formula = text.startswith(_FORMULA_STARTS) or raw.startswith(_FORMULA_STARTS)
    return f"'{text}" if starts_formula else text


def clean_lines(text: str, limit: int | None = None) -> str:
    """Clean a text line by line and keep its indentation; a longer one than `limit` is cut."""
    lines = text.split("\n")
    text = "\n".join(line[: len(line) - len(line.lstrip())] + clean_text(line) for line in lines)
    return text if limit is None or len(text) <= limit else text[:limit] + "\n… (cut)"


def join_words(names: Sequence[str], last: str = "and") -> str:
    """Return names as they stand in a sentence: "A", "A and B", "A, B and C"."""
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def slug(*parts: object) -> str:
    """Return an HTML id of letters, digits and hyphens, the same for the same parts."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(str(part) for part in parts))
    return words.strip("-").lower() or "item"
