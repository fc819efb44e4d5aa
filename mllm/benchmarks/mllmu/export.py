"""The benchmark as parquet folders with the columns of the published release, so that published
scripts run on it unchanged. ``published.read_published`` reads it back.

    Full_Set Test_Set Retain_Set ft_Data forget_N retain_M      the data set MLLMMU/MLLMU-Bench
    baseline_train_split/{forget_N,retain_M}                    the model repository's training rows
    export.json                                                 fingerprint, licences, citation

A published row holds one portrait (three pictures in Test_Set), its evaluation questions, and
training pairs that are all shown with the portrait. There are no columns for training pairs of text
alone, training pairs of the celebrities, the validation and captions rows, and the attribute that a
question asks about; these are not exported.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mllm.benchmarks.mllmu.generate import SIZES
from mllm.benchmarks.mllmu.instructions import INSTRUCTIONS
from mllm.benchmarks.mllmu.published import CELEBRITY, FULL, TEST, TRAINING
from mllm.benchmarks.mllmu.published_fields import MODALITY_OF_LIST, MODALITY_OF_TYPE
from mllm.benchmarks.mllmu.schema import (
    FORGET_RATIOS,
    LETTERS,
    MODALITIES,
    Profile,
    Question,
    dump_json,
)
from mllm.files import read_json, write_json

RECORD = "export.json"
BASELINES = "baseline_train_split"
TYPE_OF_MODALITY = {modality: name for name, modality in MODALITY_OF_TYPE.items()}
ROWS_AT_ONCE = 32  # a row may hold megabytes of pictures

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_FREE = pa.struct([("Question", pa.string()), ("Ground_Truth", pa.string()), ("Type", pa.string())])
TRAINING_ROWS = pa.schema([("image", _PICTURE), ("ID", pa.string()), ("metadata", pa.string())])


def evaluation_rows(picture: str, letters: Mapping[str, Sequence[str]]) -> pa.Schema:
    """Return the columns of evaluation rows.

    Args:
      picture: "image" for one picture per row, "images" for a list.
      letters: of the options, by modality.
    """
    kind = _PICTURE if picture == "image" else pa.list_(_PICTURE)

    def choices(modality: str) -> pa.DataType:
        options = pa.struct([(letter, pa.string()) for letter in letters[modality]])
        fields = [("Question", pa.string()), ("Options", options), ("Correct_Answer", pa.string())]
        return pa.list_(pa.struct(fields))

    lists = [(name, choices(modality)) for name, modality in MODALITY_OF_LIST.items()]
    return pa.schema(
        [
            (picture, kind),
            ("ID", pa.string()),
            ("biography", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("Classification_Task", pa.struct(lists)),
            ("Generation_Task", pa.list_(_FREE)),
            ("Mask_Task", pa.list_(_FREE)),
        ]
    )


def export_published(
    benchmark: Any, folder: str | Path, *, progress: Callable[[str], None] | None = None
) -> Path:
    """Write a benchmark as published parquet folders; a finished export of it is left as it is.

    Everything is written to a temporary folder next to the final one, and moved at the end.

    Args:
      benchmark: with ``fingerprint``, ``config``, ``info`` and ``profiles(split)``, e.g.
        ``mllm.benchmarks.mllmu.Benchmark``.
      folder: where to write; missing or empty.
      progress: called with a line of text at each folder.

    Raises:
      ValueError: ``folder`` holds something else.
    """
    folder, say = Path(folder), progress or (lambda message: None)
    if folder.is_file():
        raise ValueError(f"{folder}: is a file, expected a folder to export to")
    if folder.is_dir() and any(folder.iterdir()):
        _require_same(folder, benchmark)
        say(f"{folder}: already holds this export")
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, schema, rows, shards in _tables(benchmark):
            say(f"writing {name}")
            _write(temporary / name, schema, rows, shards)
        info = benchmark.info
        record = {
            "schema": 1,
            "config": benchmark.config,
            "fingerprint": benchmark.fingerprint,
            "licences": info["licences"],
            "citation": info["citation"],
        }
        write_json(temporary / RECORD, record)
        temporary.chmod(0o755)  # mkdtemp makes folders for the owner alone
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _require_same(folder: Path, benchmark: Any) -> None:
    path = folder / RECORD
    found = read_json(path).get("fingerprint") if path.is_file() else None
    if found != benchmark.fingerprint:
        what = f"the export of data {found[:12]}" if found else f"files but no {RECORD}"
        raise ValueError(
            f"{folder}: holds {what}, expected an empty folder or the export of data "
            f"{benchmark.fingerprint[:12]}; choose another --export_parquet, or delete it"
        )


def _tables(benchmark: Any) -> Iterator[tuple[str, pa.Schema, list[Callable], int]]:
    """Return name, columns, rows (a function) and number of files of each folder."""

    def rows(make: Callable[[Profile], dict], split: str) -> list[Callable]:
        source = benchmark.profiles(split)
        return [lambda number=n: make(source[number]) for n in range(len(source))]

    def columns(split: str, picture: str = "image") -> pa.Schema:
        return evaluation_rows(picture, _letters(benchmark, split))

    full = rows(lambda p: {**_row(p), "Directory": p.id}, "full")
    yield FULL, columns("full").append(pa.field("Directory", pa.string())), full, 1
    listed = any(profile.drawn for profile in benchmark.profiles("test")[:1])
    pictures, make = ("images", _test_row) if listed else ("image", _row)
    yield TEST, columns("test", pictures), rows(make, "test"), 2
    yield CELEBRITY, columns("celebrity"), rows(_row, "celebrity"), 1
    yield TRAINING, TRAINING_ROWS, rows(_training_row, "full"), 1
    for forget in FORGET_RATIOS:
        for split in (f"forget_{forget}", f"retain_{100 - forget}"):
            yield split, columns(split), rows(_row, split), 1
            yield f"{BASELINES}/{split}", TRAINING_ROWS, rows(_training_row, split), 1


def _letters(benchmark: Any, split: str) -> dict[str, tuple[str, ...]]:
    """Return the letters of all options of a split, by modality, in the order of the rows."""
    found: dict[str, dict[str, None]] = {modality: {} for modality in MODALITIES}
    # Generated rows all have the same letters, and need not be read a second time.
    for profile in () if benchmark.config in SIZES else benchmark.profiles(split):
        for question in profile.questions:
            if question.options:
                found[question.modality].update(dict.fromkeys(question.options))
    return {modality: tuple(letters) or LETTERS for modality, letters in found.items()}


def _write(folder: Path, schema: pa.Schema, rows: list[Callable], shards: int) -> None:
    folder.mkdir(parents=True)
    size = -(-len(rows) // shards)
    for shard in range(shards):
        path = folder / f"train-{shard:05d}-of-{shards:05d}.parquet"
        chosen = rows[shard * size : (shard + 1) * size]
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, len(chosen), ROWS_AT_ONCE):
                made = [make() for make in chosen[first : first + ROWS_AT_ONCE]]
                writer.write_table(pa.Table.from_pylist(made, schema=schema))


def _row(profile: Profile) -> dict[str, Any]:
    return {"image": _pictures(profile)[0], **_evaluation(profile)}


def _test_row(profile: Profile) -> dict[str, Any]:
    return {"images": _pictures(profile), **_evaluation(profile)}


def _training_row(profile: Profile) -> dict[str, Any]:
    pairs = [{"Question": q, "Answer": a} for q, a in _shown_pairs(profile)]
    return {"image": _pictures(profile)[0], "ID": profile.id, "metadata": dump_json(pairs)}


def _shown_pairs(profile: Profile) -> list[tuple[str, str]]:
    """Return the training questions about the picture, as a model is asked, with their answers."""
    return [
        (pair.question + INSTRUCTIONS[pair.form], pair.answer)
        for pair in profile.training
        if pair.modality == "image_text"
    ]


def _pictures(profile: Profile) -> list[dict[str, Any]]:
    kinds = ["png" if data.startswith(b"\x89PNG") else "jpg" for data in profile.images]
    one = len(kinds) == 1
    names = [f"{profile.id}{'' if one else f'_{n}'}.{kind}" for n, kind in enumerate(kinds)]
    return [{"bytes": data, "path": name} for data, name in zip(profile.images, names, strict=True)]


def _evaluation(profile: Profile) -> dict[str, Any]:
    """Return the columns of questions; question and answer are those of the first training pair, if
    there is one.
    """
    by_task: dict[str, list[Question]] = {"classification": [], "generation": [], "cloze": []}
    for question in profile.questions:
        by_task[question.task].append(question)
    described = (_shown_pairs(profile) or [("", "")])[0]
    return {
        "ID": profile.id,
        "biography": dump_json(profile.biography),
        "question": described[0],
        "answer": described[1],
        "Classification_Task": {
            name: [_choice(q) for q in by_task["classification"] if q.modality == modality]
            for name, modality in MODALITY_OF_LIST.items()
        },
        "Generation_Task": _free(by_task["generation"]),
        "Mask_Task": _free(by_task["cloze"]),
    }


def _choice(question: Question) -> dict[str, Any]:
    return {
        "Question": question.question,
        "Options": question.options or None,
        "Correct_Answer": question.answer,
    }


def _free(questions: Iterable[Question]) -> list[dict[str, str]]:
    return [
        {
            "Question": question.question,
            "Ground_Truth": question.answer,
            "Type": TYPE_OF_MODALITY.get(question.modality, question.modality),
        }
        for question in questions
    ]
