"""The generated data: how much there is, and making it in several processes."""

from collections.abc import Iterator
from dataclasses import dataclass

from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.photo.develop import develop, draw_edits, encode, record_of
from mllm.benchmarks.photo.draw.canvas import generator
from mllm.benchmarks.photo.photographs import about
from mllm.benchmarks.photo.plan import Plan, plan_split
from mllm.benchmarks.photo.row import Photo
from mllm.benchmarks.photo.words import conversation_of, critique_of, facts_of, questions_of

DRAWING = 1  # raise it whenever the same plan gives another picture
MOST = 16  # processes that draw
DRAWN = "drawn; CC0 1.0"
_BATCH = 25


@dataclass(frozen=True)
class Sizes:
    """How much there is.

    Attributes:
      long: the longer side of pictures in pixels.
      train, validation, test: pictures.
      often: of so many pictures one is a photograph.
      further: whether photographs count that may not be installed.
      left_out: operations that pictures of this size do not show clearly enough.
    """

    long: int
    train: int
    validation: int
    test: int
    often: int = 6
    further: bool = False
    left_out: tuple[str, ...] = ()

    def count(self, split: str) -> int:
        """Return how many pictures a split has."""
        return getattr(self, split)


# What is hard to see at 96 pixels, or in too few pictures for a small model to learn it.
HARD = (
    "horizon_height", "ridges", "palette", "coordination", "light_direction", "lights", "fill",
    "cast_shadow", "water", "distraction", "distortion", "mirror", "chromatic", "vignette",
    "lens_flaw", "lens_effect", "shutter", "blur_kind", "aperture", "noise_kind", "fault",
    "contrast", "hdr", "manipulation", "detail",
)  # fmt: skip

SIZES = {
    "micro": Sizes(long=48, train=60, validation=16, test=24),
    "tiny": Sizes(long=96, train=4800, validation=200, test=300, left_out=HARD),
    "full": Sizes(long=512, train=4000, validation=400, test=800, often=3, further=True),
}


def make_split(
    sizes: Sizes, seed: int, split: str, *, processes: int | None = None
) -> Iterator[Photo]:
    """Yield the pictures of a split: the same for any number of processes.

    Args:
      processes: how many draw; as many as there are cores, at most `MOST`, where None.
    """
    plans = plan_split(
        split,
        sizes.count(split),
        sizes.long,
        seed,
        often=sizes.often,
        further=sizes.further,
        left_out=sizes.left_out,
    )
    processes = min(cpu_count(), MOST) if processes is None else processes
    calls = (
        delayed(_make)(plans[start : start + _BATCH], seed)
        for start in range(0, len(plans), _BATCH)
    )
    for made in Parallel(n_jobs=processes, return_as="generator")(calls):
        yield from made


def _make(plans: list[Plan], seed: int) -> list[Photo]:
    return [make_photo(plan, seed) for plan in plans]


def make_photo(plan: Plan, seed: int) -> Photo:
    """Return the picture of a plan with all that is said of it."""
    edits = draw_edits(plan.settings, f"{seed}/{plan.id}")
    source, critique = plan.source, critique_of(plan)
    photographed = source.kind == "photograph"
    return Photo(
        id=plan.id,
        source=source.cluster,
        split=plan.split,
        picture=encode(develop(source, edits)),
        facts=facts_of(plan),
        record=record_of(source, plan.settings, edits),
        questions=questions_of(plan),
        critique=critique,
        conversation=conversation_of(critique, generator("talk", seed, plan.id)),
        licence=about(source.name).licence if photographed else DRAWN,
    )
