"""A kind of sound, and how it is written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mllm.registry import lookup


@dataclass(frozen=True)
class Concept:
    """A kind of sound.

    Attributes:
      name: unique in its ontology.
      parents: names of what it is a kind of; () for a root.
      synonyms: other words for it.
      code: its number or identifier in the source of the ontology; "" for none.
      sounds_like: a sentence that describes its sound; "" for none.
      habitat: a sentence that says where it is heard; "" for none.
    """

    name: str
    parents: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    code: str = ""
    sounds_like: str = ""
    habitat: str = ""


KEYS = tuple(field.name for field in fields(Concept))


def concept_of(value: Any, where: str) -> Concept:
    """Return the concept of a JSON object; only its name is required.

    Raises:
      ValueError: it is something else; the message names the concept, or says ``where``.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise ValueError(f"{where}: found {value!r}, expected an object with a name")
    where = f"concept {value['name']!r}"
    read: dict[str, Any] = {}
    for key, found in value.items():
        lookup(dict.fromkeys(KEYS), key, f"key of {where}")
        several = key in ("parents", "synonyms")
        words = found if several and isinstance(found, list) else [found]
        if several != isinstance(found, list) or not all(isinstance(one, str) for one in words):
            expected = "a list of texts" if several else "a text"
            raise ValueError(f"{where}, {key!r}: found {found!r}, expected {expected}")
        read[key] = tuple(words) if several else found
    return Concept(**read)
