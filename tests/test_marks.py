"""What `make test-fast` leaves out: some tests of a room, never all of them."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOMS = sorted(p.name for p in (TESTS.parent / "mllm").iterdir() if (p / "__init__.py").is_file())
LEFT_OUT = {"pytest.mark.slow", "pytest.mark.thorough"}


def fast_tests(path: Path) -> list[str]:
    """The tests of a file that neither it nor a decorator marks as slow or thorough."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks = node.value.elts if isinstance(node.value, ast.List) else [node.value]
            if LEFT_OUT & {ast.unparse(mark) for mark in marks}:
                return []
    return [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not LEFT_OUT & {ast.unparse(decorator) for decorator in node.decorator_list}
    ]


@pytest.mark.parametrize("room", [*ROOMS, "experiments"])
def test_every_room_keeps_fast_tests(room):
    kept = [name for path in (TESTS / room).rglob("test_*.py") for name in fast_tests(path)]
    assert len(kept) >= 3, f"tests/{room} keeps {kept} without a mark"


def test_marks_are_seen_on_files_and_on_tests(tmp_path):
    marked = "@pytest.mark.thorough\ndef test_a(): pass\ndef test_b(): pass\n"
    (tmp_path / "one.py").write_text(marked)
    assert fast_tests(tmp_path / "one.py") == ["test_b"]
    for mark in ("pytest.mark.slow", "[pytest.mark.thorough]"):
        (tmp_path / "all.py").write_text(f"pytestmark = {mark}\n{marked}")
        assert fast_tests(tmp_path / "all.py") == []
