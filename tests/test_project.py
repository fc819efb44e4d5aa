"""The files around the code agree: make targets, the workflow, versions, and links."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def targets() -> set[str]:
    """The targets that the Makefile declares as phony."""
    return set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split())


def test_every_phony_target_has_a_recipe():
    text = (ROOT / "Makefile").read_text()
    assert targets() == {t for t in targets() if re.search(rf"^{t}:.*\n\t", text, re.M)}


def test_the_workflow_runs_targets_of_the_makefile():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    runs = re.findall(r"- run: (.*)", text)
    assert {"make lint", "make test-fast", "make test"} <= set(runs)
    assert {run.split()[0] for run in runs} == {"make"}
    assert {run.split()[1] for run in runs} <= targets()
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"[\w/-]+@v\d+", action), action


def test_every_place_names_the_same_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert released[0] == version


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = path.read_text()
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = path.parent / link if link else path
        assert target.exists(), f"{path.name} links to {link}"
        if anchor and target.suffix == ".md":
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            slugs = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
            assert anchor in slugs, f"{path.name} links to {link}#{anchor}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_in_documents_are_targets(path):
    named = re.findall(r"^    make ([a-z-]+)", path.read_text(), re.M)
    assert set(named) <= targets()
