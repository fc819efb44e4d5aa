"""Files are what they were when they were made: their digests stand in a record, and are compared
where the files are read.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mllm.files import file_digests
from mllm.parallel.launch import share, share_problem

Paths = Mapping[str, Path]  # where files are, by the names under which a record knows them
Digests = Mapping[str, str]  # their sha256, by the same names
ADVICE = "Put the file back as it was, or make this folder again"
OFF = "--verify_weights=off reads weights without comparing them"


class Verification:
    """Whether files of weights are hashed when they are read; ``--verify_weights`` sets it.

    Small files are always compared.
    """

    weights = True


def digests_of(paths: Paths) -> dict[str, str]:
    """Return the digests of files by their names."""
    found = file_digests(paths.values())
    return {name: found[path] for name, path in paths.items()}


def below(folder: Path, names: Iterator[str] | Mapping) -> dict[str, Path]:
    """Return where files of these names are below a folder."""
    return {name: folder / name for name in names}


def difference(paths: Paths, recorded: Digests, record: Path) -> str:
    """Return a line about the first file that is not what a record says, "" if all are.

    Args:
      paths: of all files that are recorded.
      recorded: their digests. record: the file that holds these.
    """
    for name in recorded:
        if not paths[name].is_file():
            return f"{paths[name]}: no such file, and {record} names it"
    found = digests_of({name: paths[name] for name in recorded})
    for name, digest in recorded.items():
        if found[name] != digest:
            return (
                f"{paths[name]}: was changed or damaged after it was written: its sha256 is "
                f"{found[name][:12]}, expected {digest[:12]}, which {record} holds"
            )
    return ""


def require_same_files(paths: Paths, recorded: Digests, record: Path, advice: str = ADVICE) -> None:
    """Check that small files are what a record says.

    Args:
      paths, recorded, record: as in ``difference``.
      advice: what to do otherwise, the end of the message.

    Raises:
      ValueError: a file is not; the message names it.
    """
    if problem := difference(paths, recorded, record):
        raise ValueError(f"{problem}. {advice}")


def require_same_weights(
    paths: Paths, recorded: Digests, record: Path, advice: str = ADVICE
) -> None:
    """Check that large files are what a record says; every process calls this, and hashes its
    share of them.

    Args:
      paths, recorded, record, advice: as in ``require_same_files``.

    Raises:
      ValueError: on every process, if a file is not; the message names it.
    """
    with comparing(paths, recorded, record, advice):
        pass


@contextmanager
def comparing(
    paths: Paths, recorded: Digests, record: Path, advice: str = ADVICE
) -> Iterator[None]:
    """Do what ``require_same_weights`` does, while the body reads the files.

    If a file differs, it is what is named, not what the body raised because of it.
    """
    if not Verification.weights:
        yield
        return
    mine, failed = {name: recorded[name] for name in share(sorted(recorded))}, None
    with ThreadPoolExecutor(1) as pool:
        compared = pool.submit(difference, paths, mine, record)
        try:
            yield
        except Exception as error:
            failed = error
        problem = share_problem(compared.result())
    if problem:
        raise ValueError(f"{problem}. {advice}; {OFF}") from None
    if failed is not None:
        raise failed
