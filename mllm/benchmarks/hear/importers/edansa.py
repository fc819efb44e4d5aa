"""EDANSA-2019 (Çoban et al. 2022): Arctic soundscapes of the North Slope of Alaska, in clips.

    labels.csv   batch,set,region,Site ID,Date,Start/End Time,Length,Clip Path, and a column of 0
                 and 1 for each tag
    data/        the clips, by Clip Path

Sites are in one set each. Codes are those of the published taxonomy: a 0 at the end stands for the
whole, so that 1.1.8 (grouse) is a kind of 1.1.0 (bird), and that of 1.0.0 (biophony).
"""

from collections.abc import Mapping
from pathlib import Path

from mllm.benchmarks.hear.importers.found import Entry, Found
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.importers.table import table
from mllm.benchmarks.hear.ontology import Concept, Ontology

SOURCE = "EDANSA-2019"
LICENCE = "as stated by the publishers of EDANSA-2019"
SPLIT = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
COLUMNS = ("set", "region", "Site ID", "Date", "Clip Path")
# Column in lower case -> code, name, synonyms.
TAGS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "anth": ("0.0.0", "anthrophony", ("human-made sound",)),
    "auto": ("0.1.0", "automobile", ("motor vehicle",)),
    "truck": ("0.1.1", "truck", ("lorry",)),
    "car": ("0.1.2", "car", ()),
    "airc": ("0.2.0", "aircraft", ()),
    "prop": ("0.2.1", "propeller plane", ()),
    "helo": ("0.2.2", "helicopter", ("chopper",)),
    "jet": ("0.2.3", "jet", ()),
    "mach": ("0.3.0", "machinery", ()),
    "flare": ("0.4.0", "flare", ("gas flare",)),
    "bio": ("1.0.0", "biophony", ("animal sound",)),
    "bird": ("1.1.0", "bird", ("avian",)),
    "hum": ("1.1.1", "hummingbird", ()),
    "shorb": ("1.1.2", "shorebird", ("wader",)),
    "loon": ("1.1.3", "loon", ("diver",)),
    "rapt": ("1.1.4", "raptor", ("bird of prey",)),
    "seab": ("1.1.5", "seabird", ()),
    "owl": ("1.1.6", "owl", ()),
    "dgs": ("1.1.7", "duck, goose or swan", ("waterfowl",)),
    "grous": ("1.1.8", "grouse", ("ptarmigan",)),
    "woop": ("1.1.9", "woodpecker", ()),
    "songb": ("1.1.10", "songbird", ("passerine",)),
    "crane": ("1.1.11", "crane", ()),
    "corv": ("1.1.12", "corvid", ("raven or crow",)),
    "mam": ("1.2.0", "mammal", ()),
    "mous": ("1.2.1", "mouse", ()),
    "bear": ("1.2.2", "bear", ()),
    "deer": ("1.2.3", "deer", ("caribou",)),
    "woof": ("1.2.4", "canine", ("fox or wolf",)),
    "weas": ("1.2.5", "weasel", ()),
    "meow": ("1.2.6", "feline", ("lynx",)),
    "hare": ("1.2.7", "hare", ()),
    "shrew": ("1.2.8", "shrew", ()),
    "bug": ("1.3.0", "insect", ("bug",)),
    "mosq": ("1.3.1", "mosquito", ()),
    "fly": ("1.3.2", "fly", ()),
    "geo": ("2.0.0", "geophony", ("sound of the earth",)),
    "rain": ("2.1.0", "rain", ()),
    "water": ("2.2.0", "water", ()),
    "wind": ("2.3.0", "wind", ()),
    "sil": ("3.0.0", "silence", ()),
}


def parent_code(code: str) -> str:
    """Return the code of what a code is a kind of; "" for a root."""
    parts = code.split(".")
    places = [place for place, part in enumerate(parts) if place and part != "0"]
    if not places:
        return ""
    parts[places[-1]] = "0"
    return ".".join(parts)


def taxonomy() -> Ontology:
    """Return the published taxonomy of the tags."""
    names = {code: name for code, name, _ in TAGS.values()}
    return Ontology(
        Concept(name, (names[parent_code(code)],) if parent_code(code) else (), synonyms, code)
        for code, name, synonyms in TAGS.values()
    )


def read(folder: Path, options: Options) -> Found:
    """Return what the folder lists; a clip's group is its site and day.

    Raises:
      FileNotFoundError: the table is missing.
      ValueError: naming file and line: a column, set or mark is not what it should be.
    """
    path, sounds = folder / "labels.csv", folder / (options.sounds or "data")
    entries = []
    for where, row in table(path, COLUMNS):
        if row["set"] not in SPLIT:
            raise ValueError(f"{where}, 'set': found {row['set']!r}, expected {', '.join(SPLIT)}")
        entry = Entry(
            where=where,
            id=row["Clip Path"],
            group="/".join(row[name] for name in ("region", "Site ID", "Date")),
            split=SPLIT[row["set"]],
            tags=_tags(where, row),
            path=sounds / row["Clip Path"],
            record={name: text for name, text in row.items() if name.lower() not in TAGS},
        )
        entries.append(entry)
    return Found(taxonomy(), tuple(entries), (path,), SOURCE, LICENCE)


def _tags(where: str, row: Mapping[str, str]) -> tuple[str, ...]:
    marked = []
    for column, text in row.items():
        if column.lower() not in TAGS or text in ("", "N/A"):
            continue
        if text not in ("0", "1", "0.0", "1.0"):
            raise ValueError(f"{where}, {column!r}: found {text!r}, expected 0 or 1")
        if float(text):
            marked.append(TAGS[column.lower()][1])
    return tuple(marked)
