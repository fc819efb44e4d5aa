"""The words nearest to the tokens of sounds, leaf by leaf."""

from collections.abc import Mapping
from typing import Any

from mllm.reporting.numbers import points
from mllm.reporting.section import Details, Grid, Paragraph
from mllm.reporting.text import clean_text

_WORDS = (
    "The words whose embeddings are nearest to the tokens of sounds, with the share of the tokens; "
    "“name near”: the share of tokens with a piece of the name of their leaf among the five "
    "nearest; “other names”: the mean of the same for the names of other leaves."
)


def word_details(label: str, found: Mapping[str, Any]) -> Details:
    """Return the words of a model, folded.

    Args:
      found: what was measured of it.
    """
    shown = (word_grid(found), Paragraph(_WORDS, note=True))
    return Details(f"{label}: words nearest to the tokens of sounds", shown)


def word_grid(found: Mapping[str, Any]) -> Grid:
    """Return the words nearest to the tokens of the sounds of each leaf."""
    rows = []
    for row in found["words"]:
        words = ", ".join(f"{clean_text(w, 20)} {points(share)}" for w, share in row["words"])
        near = (points(row["named"]), points(row["others"]))
        rows.append((clean_text(row["leaf"], 40), f"{row['n']:,}", *near, words))
    heads = ("Leaf", "Tokens", "Name near", "Other names", "Nearest words")
    return Grid("Nearest words", heads, tuple(rows), words=(4,))
