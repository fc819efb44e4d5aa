"""The error of a training whose loss is not finite any more."""

from pathlib import Path


class Diverged(FloatingPointError):
    """The loss of a run is not finite.

    Attributes:
      folder: of the run.
      why: what was found, and at which step.
    """

    def __init__(self, folder: Path, why: str):
        self.folder, self.why = Path(folder), why
        super().__init__(
            f"{folder}: {why}; try a smaller learning rate, or delete the folder to train it again"
        )
