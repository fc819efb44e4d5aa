"""Rooms and commands that serve every benchmark use no word of a single one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = (
    "ops",
    "models",
    "data",
    "parallel",
    "decoding",
    "training",
    "evaluation",
    "reporting",
    "studies",
    "checkpoints",
)
# Sets, stages, tasks and names of published systems. Unlearning alone may say forget and retain.
WORDS = re.compile(
    r"(?<![a-z])(celebrit\w*|vanilla|retain_only|cobsat|mllmu|sasrec|forget\w*|forgot\w*|retain\w*"
    r"|profile(?!r\b)\w*|cloze\w*)",
    re.IGNORECASE,
)
FILES = sorted(
    path
    for room in ROOMS
    for path in (ROOT / "mllm" / room).rglob("*")
    if path.suffix in (".py", ".j2", ".css")
)
FILES += sorted((ROOT / "experiments").rglob("*.py"))
FILES.append(ROOT / "configs" / "common.py")


def words_of(text: str) -> list[str]:
    return [
        f"line {number}: {found[1]}"
        for number, line in enumerate(text.splitlines(), 1)
        for found in WORDS.finditer(line)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_general_rooms_name_no_system(path):
    assert not words_of(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line, found",
    [
        ("the forget set", ["forget"]),
        ("rows_to_forget = celebrities", ["forget", "celebrities"]),
        ("Profiles of MLLMU-Bench", ["Profiles", "MLLMU"]),
        ("once_over_retained", ["retained"]),
        ("jax.profiler writes a trace of the profile", ["profile"]),
        ("an unforgettable vision of a tower", []),
    ],
)
def test_words_are_found_as_parts_of_names_too(line, found):
    assert words_of(line) == [f"line 1: {word}" for word in found]
