"""The ontology of AudioSet: a graph, whose names list synonyms after commas."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.files import read_text


def read_ontology(path: Path) -> tuple[Ontology, dict[str, str]]:
    """Read ontology.json.

    "Violin, fiddle" becomes the concept "violin" with the synonym "fiddle". A word that would then
    stand for two concepts is no synonym, and a concept whose first word is taken keeps its whole
    name.

    Returns:
      The ontology, its concepts in the order of the file, and the names by identifier.

    Raises:
      FileNotFoundError, ValueError: it is missing or holds something else.
    """
    entries = _entries(path)
    words = {one["id"]: _words(one["name"]) for one in entries}
    firsts = [found[0].casefold() for found in words.values()]
    names = {
        one["id"]: words[one["id"]][0]
        if firsts.count(words[one["id"]][0].casefold()) == 1
        else _lower(one["name"])
        for one in entries
    }
    parents: dict[str, list[str]] = {key: [] for key in names}
    for one in entries:
        for child in one["child_ids"]:
            if child not in parents:
                raise ValueError(f"{path}, {one['id']}: child {child!r} is not in the file")
            parents[child].append(names[one["id"]])
    taken = {name.casefold() for name in names.values()}
    concepts = []
    for one in entries:
        synonyms = []
        for word in words[one["id"]][1:]:
            if word.casefold() not in taken:
                taken.add(word.casefold())
                synonyms.append(word)
        said = one.get("description") or ""
        above = tuple(parents[one["id"]])
        concepts.append(Concept(names[one["id"]], above, tuple(synonyms), one["id"], said))
    try:
        return Ontology(concepts), names
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _entries(path: Path) -> list[Mapping[str, Any]]:
    try:
        value = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(value, list):
        raise ValueError(f"{path}: found {type(value).__name__}, expected a list of objects")
    for number, one in enumerate(value, 1):
        for key, kind in (("id", str), ("name", str), ("child_ids", list)):
            found = one.get(key) if isinstance(one, dict) else one
            if not isinstance(found, kind) or (not found and kind is str):
                raise ValueError(
                    f"{path}, entry {number}, {key!r}: found {found!r}, expected a "
                    f"{'text' if kind is str else 'list'}"
                )
    return value


def _words(name: str) -> list[str]:
    """Return the words that a name lists after commas outside brackets."""
    parts = re.split(r",\s+(?![^(]*\))", name)
    return [_lower(part) for part in parts if part and part.rstrip(".") != "etc"]


def _lower(name: str) -> str:
    """Return a name that may stand within a sentence."""
    return name if name[1:2].isupper() else name[0].lower() + name[1:]
