"""What frozen encoders make of pictures, kept on disk: one file for each picture, named by its
content, in a folder for all that the features follow from besides.
"""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.loaded import Loaded
from mllm.data.images import ImageConfig
from mllm.data.processor import Processor
from mllm.files import replacing

FOLDER = "features"  # of a study
ENCODERS = "vision"  # the part of a model's parameters that sees pictures
EARS = "audio"  # the part that hears sounds
VERSION = 1  # of the files
_SEAL = hashlib.sha256().digest_size


class FeatureFiles:
    """Files of float[tiles, F] arrays by ``content_number`` of a picture.

    A file is written aside and renamed, and begins with a digest of its content, its key and its
    picture: what a killed process left, or what was changed or moved since, is no file of these.
    Then come a line with type and shape, and the values.

    Attributes:
      folder: holds the files. key: digest of all that features follow from besides the picture.
    """

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = Path(folder) / key[:16], key

    def path(self, number: int) -> Path:
        """Return where the features of a picture are."""
        name = f"{~number:015x}"
        return self.folder / name[:2] / f"{name}.features"

    def has(self, number: int) -> bool:
        """Return whether there is a file for a picture; it may be damaged."""
        return self.path(number).is_file()

    def read(self, number: int) -> np.ndarray | None:
        """Return the features of a picture, None if there are none that are whole."""
        try:
            found = self.path(number).read_bytes()
        except FileNotFoundError:
            return None
        seal, content = found[:_SEAL], found[_SEAL:]
        if seal != self._seal(number, content):
            return None
        described, _, values = content.partition(b"\n")
        kind, shape = json.loads(described)
        return np.frombuffer(values, jnp.dtype(kind)).reshape(shape)

    def write(self, number: int, features: np.ndarray) -> None:
        """Write the features of a picture."""
        described = json.dumps([features.dtype.name, features.shape])
        content = described.encode() + b"\n" + features.tobytes()
        with replacing(self.path(number)) as temporary:
            temporary.write_bytes(self._seal(number, content) + content)

    def _seal(self, number: int, content: bytes) -> bytes:
        return hashlib.sha256(f"{self.key} {number} ".encode() + content).digest()


def feature_files(folder: Path, loaded: Loaded, processor: Processor) -> FeatureFiles:
    """Return the files of what the encoders of a model make of pictures.

    Args:
      folder: of the files of all models. processor: prepares the pictures.
    """
    return FeatureFiles(folder, features_key(loaded, processor))


def features_key(loaded: Loaded, processor: Processor) -> str:
    """Return the digest of all that features follow from besides the picture: the encoders with
    their weights, and how a picture becomes pixels.
    """
    shape, prepared = loaded.config, processor.config
    content = {
        "version": VERSION,
        "family": loaded.family,
        "encoders": asdict(shape.vision),
        "dtype": shape.dtype,
        "weights": weights_digest(loaded.variables["params"][ENCODERS]),
        "pictures": {field.name: getattr(prepared, field.name) for field in fields(ImageConfig)},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
