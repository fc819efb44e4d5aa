"""A folder of photographs from its files to its page."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mllm.benchmarks.photo.assistant.asking import ANSWERS, Critic
from mllm.benchmarks.photo.assistant.files import Passed, find_files, name_of
from mllm.benchmarks.photo.assistant.gates import Seen
from mllm.benchmarks.photo.assistant.page import INDEX, write_pages
from mllm.benchmarks.photo.assistant.photographs import Photograph, read_photograph
from mllm.benchmarks.photo.assistant.questions import questions
from mllm.benchmarks.photo.assistant.result import Critiqued, Results, as_json
from mllm.checkpoints.loaded import Loaded
from mllm.files import write_json
from mllm.parallel.launch import is_first
from mllm.reporting.overlay import overlay
from mllm.reporting.pictures import thumbnail
from mllm.studies.lock import hold

JSON = "critique.json"
LOT = 16  # photographs that are in memory, and asked about, at a time
PREVIEW, LOOK = 640, 240  # pixels of the longer side on the page


def critique_folder(
    load: Callable[[], Loaded],
    folder: Path,
    out: Path,
    note: Callable[[str], None],
    untaught: frozenset[str] = frozenset(),
) -> tuple[Results, Path]:
    """Write critique.json and the pages of a folder, and return what they hold and the first page.

    A run that was stopped continues: what the same weights said of the same picture is kept.

    Args:
      load: reads the model; it must take pictures.
      note: prints a line about progress.
      untaught: operations that the model was not taught, and is not asked about.

    Raises:
      FileNotFoundError: there is no such folder, or it holds no file.
      ValueError: the model takes no pictures, or no file could be read as a photograph; the page
        is then written and says why.
    """
    files, passed = find_files(folder, out)
    if not files and not passed:
        raise FileNotFoundError(f"{folder}: holds no files; give a folder of photographs")
    with hold(out):
        critic = Critic(_seeing(load()), tuple(questions(untaught)), out)
        title = name_of(folder.resolve(), folder.resolve().parent)
        results = Results(title, {"weights": critic.digest[:12]}, critic.encoders, passed=passed)
        for number, (photographs, failed) in enumerate(_lots(files, folder), 1):
            results.critiqued += critiques(critic, photographs)
            results.passed += failed
            note(
                f"photographs critiqued: {len(results.critiqued)}, files passed over: "
                f"{len(results.passed)}; lot {number} of {math.ceil(len(files) / LOT)}"
            )
        page = out / INDEX
        if is_first():
            write_json(out / JSON, as_json(results))
            page = write_pages(results, out)
    if not results.critiqued:
        raise ValueError(f"{folder}: no file could be read as a photograph; {page} says why")
    return results, page


def describe_folder(folder: Path, out: Path) -> list[str]:
    """Return what ``critique_folder`` would do, as lines.

    Raises:
      FileNotFoundError: there is no such folder.
    """
    files, passed = find_files(folder, out)
    lines = [f"reads {len(files)} files below {folder}, those that are photographs"]
    lines += [f"passes over {one.name}: {one.reason}" for one in passed]
    return [*lines, f"writes {out}/: {JSON}, {INDEX} for each folder, {ANSWERS}/"]


def critiques(critic: Critic, photographs: Sequence[Photograph]) -> list[Critiqued]:
    """Return what a model says of photographs."""
    found = critic.remarks([one.picture for one in photographs])
    return [
        Critiqued(
            one.name,
            one.size,
            one.notes,
            thumbnail(one.picture, PREVIEW) or "",
            tuple(remarks),
            _looks(one.picture, remarks[0].seen),
        )
        for one, remarks in zip(photographs, found, strict=True)
    ]


def _looks(picture: bytes, seen: Seen | None) -> dict[str, str]:
    """Return where each encoder looked, as small pictures."""
    maps = {} if seen is None else seen.attention
    drawn = {name: overlay(picture, np.asarray(one), LOOK) for name, one in maps.items()}
    return {name: uri for name, uri in drawn.items() if uri is not None}


def _lots(files: Sequence[Path], folder: Path) -> Iterator[tuple[list[Photograph], list[Passed]]]:
    for first in range(0, len(files), LOT):
        read = [read_photograph(path, name_of(path, folder)) for path in files[first : first + LOT]]
        yield (
            [one for one in read if isinstance(one, Photograph)],
            [one for one in read if isinstance(one, Passed)],
        )


def _seeing(loaded: Loaded) -> Loaded:
    processor = loaded.processor.config
    if processor.image is None and processor.codes is None:
        raise ValueError(f"family {loaded.family!r} without pictures; give a model that sees them")
    return loaded
