"""What a run is made from: its identity, and how two runs differ, key by key."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from mllm.studies.environment import digest
from mllm.studies.stage import Stage

SHOWN = 12  # differences that a message lists
# Keys that came later, with the value that gives what the code did before: with this value they are
# no part of what a run is made from, so that runs from before them are found again.
LATER = {
    "vocabulary": "all",
    "pictures": "upright",
    "row_tokens": 0,
    "row_supervised": 0,
    "share_text": False,
    "sounds": "",
    "keep": "nll",
    "modality": "both",
}
FLAGS = (bool, int, float, str)  # types of values that a flag can give


def made_from(
    stage: Stage,
    config: ConfigDict,
    fingerprint: str,
    parents: Mapping[str, str],
    imported: Mapping[str, str] | None = None,
    processors: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return all that the weights of a stage depend on, as run.json keeps it.

    Args:
      fingerprint: of the data.
      parents: digests of the weights of ``stage.parents`` by name, in this order.
      imported: digests of the files that the stage imports, by name. They stand in place of where
        the files are.
      processors: digests of the files with which ``parents`` read, by name. They are no part of the
        identity, but compared where both runs name them.
    """
    chosen = _without_later({key: value_of(config, key) for key in stage.depends_on})
    source = {"stage": stage.name, "data": fingerprint, "parents": dict(parents)}
    if stage.changes:
        source["changes"] = dict(stage.changes)
    if stage.fresh:
        source["fresh"] = list(stage.fresh)
    if processors:
        source["processors"] = dict(processors)
    if imported is None:
        return {**source, "config": chosen}
    place = stage.pretrained or config.pretrained
    kept = {key: _without_places(value) for key, value in chosen.items() if value != place}
    return {**source, "config": kept, "imported": dict(imported)}


def _without_places(value: Any) -> Any:
    """Return a section without the places of what it imports, the keys ``source``."""
    if not isinstance(value, Mapping):
        return value
    return {key: _without_places(inner) for key, inner in value.items() if key != "source"}


def _without_later(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by dotted key without those of ``LATER``, also within sections."""
    kept = {}
    for key, value in values.items():
        if key.rpartition(".")[2] in LATER and value == LATER[key.rpartition(".")[2]]:
            continue
        kept[key] = _without_later(value) if isinstance(value, Mapping) else value
    return kept


def identity(source: Mapping[str, Any]) -> str:
    """Return the digest of what ``made_from`` returned."""
    parents = list(source["parents"].values())
    more = [source["imported"]] if "imported" in source else []
    more += [{name: source[name]} for name in ("changes", "fresh") if name in source]
    return digest([source["stage"], source["config"], source["data"], parents, *more])


def same(record: Mapping[str, Any], source: Mapping[str, Any]) -> bool:
    """Return whether the run of a record is made from the same as the one asked for."""
    there, asked = record.get("made_from", {}).get("processors"), source.get("processors")
    alike = there is None or asked is None or there == asked
    return alike and record.get("identity") == identity(source)


def value_of(config: ConfigDict | Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key, sections as dicts.

    Raises:
      KeyError: there is no such key.
    """
    found = config
    for part in key.split("."):
        found = found[part]
    return found.to_dict() if isinstance(found, ConfigDict) else found


class Difference(NamedTuple):
    """A key in which a folder's run is not the one that is asked for; None where it is absent."""

    key: str
    there: Any
    asked: Any


def differences(record: Mapping[str, Any], source: Mapping[str, Any]) -> list[Difference]:
    """Return in what the run of a record differs from another one.

    Args:
      record: of run.json. source: of ``made_from``, what the other run is made from.
    """
    made = _source_of(record, source)
    if made == source:
        return []
    there, asked = (_flat(json.loads(json.dumps(one))) for one in (made, source))
    keys = dict.fromkeys((*there, *asked))
    found = [Difference(key, there.get(key), asked.get(key)) for key in keys]
    return [one for one in found if one.there != one.asked]


def _source_of(record: Mapping[str, Any], source: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a record's run is made from; an older record holds its configuration alone."""
    if "made_from" in record:
        return record["made_from"]
    chosen = {}
    for key in source["config"]:
        try:
            chosen[key] = value_of(record["config"], key)
        except (KeyError, TypeError):
            continue
    data = record.get("data_fingerprint")
    return {**source, "stage": record.get("method"), "config": chosen, "data": data}


def _flat(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return all values by one dotted key each; those of the configuration begin with "config."."""
    flat: dict[str, Any] = {}

    def add(key: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                add(f"{key}.{name}" if key else name, inner)
        else:
            flat[key] = value

    add("", source)
    return flat


def describe(found: Sequence[Difference]) -> list[str]:
    """Return a line about each of the first differences."""
    lines = [
        f"  {_named(one.key)}: {_short(one.there)} there, {_short(one.asked)} asked for"
        for one in found[:SHOWN]
    ]
    more = len(found) - SHOWN
    return [*lines, f"  and {more} more"] if more > 0 else lines


def how_to_continue(found: Sequence[Difference]) -> str:
    """Return what makes a command go on with the run that is there."""
    chosen = [one for one in found if one.key.startswith("config.")]
    steps = []
    if flags := [_flag(one) for one in chosen if isinstance(one.there, FLAGS)]:
        steps.append(f"with {' '.join(flags[:SHOWN])}")
    if len(flags) < len(chosen):
        steps.append("with the configuration that its run.json holds")
    if any(one.key == "data" for one in found):
        steps.append("on the data set that it was trained on")
    if parents := [one.key.rpartition(".")[2] for one in found if one.key.startswith("parents.")]:
        steps.append(f"from the same weights of {', '.join(parents)}, which are others now")
    if names := [one.key.rpartition(".")[2] for one in found if one.key.startswith("processors.")]:
        steps.append(f"from the tokenizer and processor of {', '.join(names)} as they were")
    if any(one.key.startswith(("changes.", "fresh")) for one in found):
        steps.append("with the changes of its model that its run.json holds")
    if any(one.key.startswith("imported.") for one in found):
        steps.append("from the files that it was imported from, which are others now")
    return " and ".join(steps) or "as another stage of the study"


def _flag(one: Difference) -> str:
    value = f"'{one.there}'" if isinstance(one.there, str) else one.there
    return f"--{one.key}={value}"


def _named(key: str) -> str:
    room, _, name = key.partition(".")
    if room == "parents":
        return f"weights of {name}"
    return name if room == "config" else key


def _short(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value)
    if len(text) == 66 and text.strip('"').isalnum():  # a digest
        return text[1:13]
    return text if len(text) <= 60 else f"{text[:57]}..."
