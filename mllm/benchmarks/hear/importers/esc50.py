"""ESC-50 (Piczak 2015): 2,000 clips of 5 s, 50 classes in five kinds.

    meta/esc50.csv   filename,fold,target,category,esc10,src_file,take
    audio/           the clips

Folds 1 to 3 are for training, 4 for validation and 5 for testing. Clips cut from one recording
(`src_file`) share a fold.
"""

from pathlib import Path

from mllm.benchmarks.hear.importers.found import Entry, Found
from mllm.benchmarks.hear.importers.options import Options
from mllm.benchmarks.hear.importers.table import table
from mllm.benchmarks.hear.ontology import Concept, Ontology

SOURCE = "ESC-50"
LICENCE = "CC BY-NC 3.0 (ESC-50); ESC-10 is CC BY 3.0"
SPLIT = {"1": "train", "2": "train", "3": "train", "4": "validation", "5": "test"}
# Ten classes each, in the order of their targets.
KINDS = (
    "animals",
    "natural soundscapes and water sounds",
    "human sounds without speech",
    "interior and domestic sounds",
    "exterior and urban noises",
)
COLUMNS = ("filename", "fold", "target", "category", "src_file")


def read(folder: Path, options: Options) -> Found:
    """Return what the folder lists.

    Raises:
      FileNotFoundError: the table is missing.
      ValueError: naming file and line: a column, fold or target is not what it should be.
    """
    path, sounds = folder / "meta" / "esc50.csv", folder / (options.sounds or "audio")
    kinds, entries = {}, []
    for where, row in table(path, COLUMNS):
        target, fold = row["target"], row["fold"]
        if not target.isdecimal() or int(target) >= 10 * len(KINDS):
            raise ValueError(f"{where}, 'target': found {target!r}, expected 0 to 49")
        if fold not in SPLIT:
            raise ValueError(f"{where}, 'fold': found {fold!r}, expected 1 to 5")
        name = row["category"].replace("_", " ")
        kind = KINDS[int(target) // 10]
        if kinds.setdefault(name, kind) != kind:
            raise ValueError(f"{where}, 'target': {name!r} is of {kind!r} and {kinds[name]!r}")
        entry = Entry(
            where=where,
            id=Path(row["filename"]).stem,
            group=row["src_file"],
            split=SPLIT[fold],
            tags=(name,),
            path=sounds / row["filename"],
            record={"fold": int(fold), "target": int(target)},
        )
        entries.append(entry)
    used = [kind for kind in KINDS if kind in kinds.values()]
    leaves = [Concept(name, (kind,)) for name, kind in sorted(kinds.items())]
    ontology = Ontology([*(Concept(kind) for kind in used), *leaves])
    return Found(ontology, tuple(entries), (path,), SOURCE, LICENCE)
