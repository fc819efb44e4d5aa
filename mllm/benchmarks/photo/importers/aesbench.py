"""AesBench's multiple choice (perception and empathy), as a table or as one object per picture.

    NAME.json | .jsonl | .csv | .tsv    a question a row: imgName, Question, Options, Answer,
                                        Dimension; or, by the picture's name, the parts AesP_data
                                        and AesE_data with those keys
    images/                             the pictures

Its dimensions are not PhotoBench's topics. ``TOPICS`` says where each is put, and `Options.topics`
may put it elsewhere. Questions of other than four options are left out where that is asked for.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.mcq import COLUMNS, Reader
from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.photobench import read_rows
from mllm.benchmarks.photo.importers.rows import Place, Row, find_table, rows
from mllm.benchmarks.photo.row import Photo

PARTS = ("AesP_data", "AesE_data")  # perception and empathy; the other two are not choices
TOPICS = {
    "technical quality": "Technical Aspects/Technical Knowledge/Quality",
    "color and light": "Lighting/Lighting and Color",
    "composition": "Composition/Composition and Cropping",
    "content": "Storytelling/Narrative",
    "emotion": "Storytelling/Emotion",
    "interest": "Storytelling/Thematic",
    "uniqueness": "Storytelling/Expression",
    "vibe": "Storytelling/Emotion",
}
NAMES = {
    "image": ("imgName", "img_name", "key", *COLUMNS["image"]),
    "topic": ("Dimension", "dimension", "category", *COLUMNS["topic"]),
    "answer": (*COLUMNS["answer"], "gt", "Ground_truth"),
}


def read(folder: Path, options: Options, ledger: Ledger, work: Path) -> dict[str, Iterable[Photo]]:
    """Return the pictures of the split that options name; see `photobench.read`."""
    table = find_table(folder, options.file)
    reader = Reader(replace(options, topics={**TOPICS, **options.topics}), ledger, NAMES)
    return read_rows(folder, _flat(rows(table)), table, reader, options, ledger)


def _flat(found: Iterable[Row]) -> Iterator[Row]:
    """Yield a row for each part of a picture."""
    for place, row in found:
        parts = [part for part in PARTS if isinstance(row.get(part), dict)]
        if not parts:
            yield place, row
        for part in parts:
            rest = {key: value for key, value in row.items() if not key.startswith("Aes")}
            yield Place(place.file, f"{place.at}, {part}"), {**rest, **row[part]}
