"""The media of replies on disk: files next to the replies, named by their content.

A line of replies.jsonl names a medium by its kind and digest. So the seal of the line covers it,
and a file that was changed is no medium of the line any more.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from mllm.data.conversation import Media
from mllm.files import replacing

MEDIA = "media"
_ENDINGS = {"image": "png"}  # of kinds that other programs open


def media_file(kind: str, digest: str) -> str:
    """Return the path of a medium below the folder of its replies."""
    return f"{MEDIA}/{digest[:2]}/{digest}.{_ENDINGS.get(kind, kind)}"


def named(media: Media) -> dict[str, str]:
    """Return what a line says of a medium."""
    return {media.kind: media.digest}


def keep(folder: Path, media: Media) -> None:
    """Write the file of a medium, unless it is there as it should be."""
    if find(folder, named(media)) is None:
        with replacing(folder / media_file(media.kind, media.digest)) as temporary:
            temporary.write_bytes(media.data)


def find(folder: Path, name: Mapping[str, str]) -> Media | None:
    """Return the medium of a name, None if its file is missing or was changed."""
    ((kind, digest),) = name.items()
    try:
        media = Media(kind, (folder / media_file(kind, digest)).read_bytes())
    except FileNotFoundError:
        return None
    return media if media.digest == digest else None


def copy(other: Path, folder: Path) -> None:
    """Copy all media of the replies in another folder."""
    if (other / MEDIA).is_dir():
        shutil.copytree(other / MEDIA, folder / MEDIA, dirs_exist_ok=True)
