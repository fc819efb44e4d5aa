"""The revision in a record is that of the code that wrote it."""

import subprocess

from mllm.studies.environment import revision


def git(folder, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder):
    """Commit to a repository and return the commit."""
    git(folder, "commit", "--quiet", "--allow-empty", "--no-gpg-sign", "--message=more")
    return git(folder, "rev-parse", "HEAD")


def test_a_commit_made_while_a_process_runs_changes_no_record(tmp_path):
    git(tmp_path, "init", "--quiet")
    first = commit(tmp_path)
    assert revision(tmp_path) == first
    assert commit(tmp_path) != first
    assert revision(tmp_path) == first


def test_outside_of_a_checkout_the_revision_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision(tmp_path) == "unknown"
