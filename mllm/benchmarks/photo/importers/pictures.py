"""The pictures that rows name, by a path or by an ID, checked and told apart by what they show."""

from functools import cache
from pathlib import Path

from PIL import Image

from mllm.benchmarks.digests import picture_digest
from mllm.benchmarks.photo.importers.ledger import Ledger
from mllm.benchmarks.photo.importers.rows import Place
from mllm.data.images import as_png, decode
from mllm.files import require_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
KEPT = ("JPEG", "PNG")  # formats that are stored as they are; others as PNG


class Pictures:
    """The files of a folder, found by the names that rows give."""

    def __init__(self, folder: Path, pictures: str, ledger: Ledger):
        """Look into a folder.

        Args:
          folder: of the table. pictures: that of the pictures in it, "" for itself.
        """
        self._folder, self._ledger = folder.resolve(), ledger
        self._places = [one for one in (folder / pictures, folder) if one.is_dir()]
        self.digest = cache(self._digest)
        self._by_stem = cache(self._stems)

    def find(self, place: Place, key: str, name: object) -> Path | None:
        """Return the file of a row's picture; None where the row is to be left out.

        Args:
          name: a path from the folder of pictures or of the table, or the name of a file there
            without its suffix.

        Raises:
          ValueError: it leaves the folder; or it is missing, or cannot be decoded, and that is an
            error.
        """
        text = str(name).strip() if isinstance(name, str | int) and name is not True else ""
        if not text or "\0" in text:
            place.fail(key, name, "the path or the ID of a picture")
        path = self._path(place, key, text)
        if path is None:
            where = " or ".join(map(str, self._places)) or f"{self._folder}, which is not there"
            self._ledger.note("missing_picture", place.says(key, name, f"a picture in {where}"))
            return None
        try:
            self.digest(path)
        except (ValueError, OSError) as error:
            expected = f"a picture that can be decoded ({error})"
            self._ledger.note("unreadable_picture", place.says(key, name, expected))
            return None
        return path

    def _path(self, place: Place, key: str, name: str) -> Path | None:
        for folder in self._places:
            path = (folder / name).resolve()
            if not path.is_relative_to(self._folder):
                place.fail(key, name, f"a path within {self._folder}")
            if path.is_file():
                return path
        found = next(
            (self._by_stem(one)[name] for one in self._places if name in self._by_stem(one)), []
        )
        if len(found) > 1:
            place.fail(
                key, name, f"one picture of that name, not {', '.join(p.name for p in found)}"
            )
        return found[0] if found else None

    def _stems(self, folder: Path) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                found.setdefault(path.stem, []).append(path)
        return found

    def _digest(self, path: Path) -> str:
        """Return sha256 (hex) of what a picture shows; ValueError where it shows nothing."""
        return picture_digest(read_picture(path)).hex()


def read_picture(path: Path) -> bytes:
    """Return a picture that decodes, as PNG or JPEG.

    Raises:
      ValueError: it cannot be decoded.
    """
    data = require_file(path).read_bytes()
    decode(data, path.name)
    with Image.open(path) as image:
        kept = image.format in KEPT
    return data if kept else as_png(data)
