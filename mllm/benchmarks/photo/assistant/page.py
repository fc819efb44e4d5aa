"""The critiques of a folder as offline HTML: one page a folder, with no script, that loads nothing.

File names and replies are text that anybody may have written. The template engine escapes all of
it, and pictures are decoded and written anew.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import numpy as np

from mllm.benchmarks.photo.assistant.asking import SURE, Remark
from mllm.benchmarks.photo.assistant.files import Passed
from mllm.benchmarks.photo.assistant.result import Critiqued, Results
from mllm.files import write_text
from mllm.reporting.html import templates

INDEX = "index.html"
FOLDERS = "folders"  # holds the pages of the folders in the folder
HEADINGS = {"description": "", "weaknesses": "Weaknesses", "advice": "How to improve"}
_TEMPLATES = Path(__file__).parent / "templates"
_TOP = PurePosixPath(".")


@dataclass(frozen=True)
class Link:
    """A page of another folder: its name, its address from this page, and what it holds."""

    name: str
    address: str
    photographs: int
    passed: int


def write_pages(results: Results, out: Path) -> Path:
    """Write the page of each folder, and return that of the whole.

    The whole folder's page is ``index.html``; those of the folders in it lie in ``folders/``.
    """
    folders = sorted({_TOP, *map(_place, [*results.critiqued, *results.passed])})
    for folder in folders:
        inside = [one for one in folders if folder == _TOP or folder in one.parents]
        links = [_link(results, one, folder) for one in inside if one != folder]
        write_text(out / address(folder), render(results, folder, links))
    return out / INDEX


def address(folder: PurePosixPath) -> PurePosixPath:
    """Return where the page of a folder lies below the results."""
    if folder == _TOP:
        return PurePosixPath(INDEX)
    parts = [f"{part}_" if part == INDEX else part for part in folder.parts]
    return PurePosixPath(FOLDERS, *parts, INDEX)


def render(results: Results, folder: PurePosixPath, links: Sequence[Link] = ()) -> str:
    """Return the page of a folder.

    Args:
      folder: path from the whole folder.
      links: the pages of other folders.
    """
    mine = [one for one in results.critiqued if _place(one) == folder]
    # A file that was passed over is named on the first page too, so that none is missed.
    passed = [one for one in results.passed if folder in (_TOP, _place(one))]
    title = results.title if folder == _TOP else f"{results.title}/{folder}"
    engine = templates(_TEMPLATES)
    engine.globals.update(mean_gate=mean_gate, file_name=lambda name: PurePosixPath(name).name)
    back = None if folder == _TOP else _from(folder, _TOP)
    return engine.get_template("critique.html.j2").render(
        title=title,
        results=results,
        photographs=mine,
        passed=passed,
        links=links,
        back=back,
        headings=HEADINGS,
        sure=SURE,
        facts=_facts(results, mine, passed),
    )


def mean_gate(remarks: Sequence[Remark], encoders: Sequence[str]) -> list[tuple[str, float]]:
    """Return the weight of each encoder, the mean over layers and remarks; [] without gates."""
    gates = [np.mean(one.seen.gates, axis=0) for one in remarks if one.seen is not None]
    if not gates:
        return []
    return list(zip(encoders, np.mean(gates, axis=0).tolist(), strict=True))


def _place(one: Critiqued | Passed) -> PurePosixPath:
    return PurePosixPath(one.name.rstrip("/")).parent


def _link(results: Results, folder: PurePosixPath, page: PurePosixPath) -> Link:
    held = [[one for one in lot if _place(one) == folder] for lot in _lots(results)]
    return Link(str(folder), _from(page, folder), *map(len, held))


def _lots(results: Results) -> tuple[Sequence, Sequence]:
    return results.critiqued, results.passed


def _from(page: PurePosixPath, folder: PurePosixPath) -> str:
    """Return the address of the page of a folder as another page links to it."""
    return quote(os.path.relpath(address(folder), address(page).parent))


def _facts(
    results: Results, photographs: Sequence[Critiqued], passed: Sequence[Passed]
) -> list[tuple[str, str]]:
    facts = [("Photographs", str(len(photographs))), ("Passed over", str(len(passed)))]
    return [*facts, *((name.capitalize(), value) for name, value in results.model.items())]
