"""Real public figures: a table of facts. They have no photographs, only a fixed drawing each."""

import csv
import functools
import importlib.resources
from dataclasses import dataclass
from typing import Any

TABLE = "celebrities.csv"
SOURCE = (
    "Names, life years, callings and nationalities of the public figures follow Princeton "
    "University's WordNet 3.0 (WordNet 3.0 licence, copyright 2006 Princeton University), as in "
    "Debian's wordnet-base; one birth year (Vivaldi) was corrected, and what each is "
    "known for was written for this table."
)
FACT_COLUMNS = ("occupation", "nationality", "birth_year", "death_year", "known_for")
COLUMNS = ("name", "gender", *FACT_COLUMNS, "source")


@dataclass(frozen=True)
class Figure:
    """A public figure; `facts` has the keys FACT_COLUMNS."""

    name: str
    gender: str
    facts: dict[str, str]
    biography: dict[str, Any]


@functools.cache
def read_celebrities() -> tuple[Figure, ...]:
    """Read the 153 figures in the order of the table; the small benchmark takes the first 18."""
    resource = importlib.resources.files(__package__) / TABLE
    with resource.open(encoding="utf-8", newline="") as stream:
        lines = (line for line in stream if not line.startswith("#"))
        reader = csv.DictReader(lines)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{TABLE}: columns are {reader.fieldnames}, expected {COLUMNS}")
        return tuple(_figure(row) for row in reader)


def _figure(row: dict[str, str]) -> Figure:
    facts = {column: row[column] for column in FACT_COLUMNS}
    biography = {
        "Name": row["name"],
        "Gender": row["gender"],
        "Employment": facts["occupation"],
        "Nationality": facts["nationality"],
        "Year of Birth": facts["birth_year"],
        "Year of Death": facts["death_year"],
        "Known for": facts["known_for"],
    }
    return Figure(row["name"], row["gender"], facts, biography)
