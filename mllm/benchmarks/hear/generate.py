"""The generated clips, made in several processes."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import soundfile
from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.hear.draw import VOICES
from mllm.benchmarks.hear.draw.signals import generator
from mllm.benchmarks.hear.plan import Plan, Sizes, plan_split
from mllm.benchmarks.hear.row import Clip
from mllm.benchmarks.hear.scene import SPARE, draw_scene, heard, mix
from mllm.data.audio import RATE
from mllm.data.conversation import audio

RENDERING = 3  # raise it whenever the same plan gives another sound
MOST = 16  # processes that render
RENDERED = "rendered; CC0 1.0"
SECOND_DB = -9.0, -3.0  # level of the second sound of a mixture
_BATCH = 50


def make_split(
    sizes: Sizes, seed: int, split: str, *, processes: int | None = None
) -> Iterator[Clip]:
    """Yield the clips of a split: the same for any number of processes.

    Args:
      processes: how many render; as many as there are cores, at most ``MOST``, where None.
    """
    plans = plan_split(sizes, seed, split)
    processes = min(cpu_count(), MOST) if processes is None else processes
    calls = (
        delayed(_make)(plans[start : start + _BATCH], sizes.seconds, seed)
        for start in range(0, len(plans), _BATCH)
    )
    for made in Parallel(n_jobs=processes, return_as="generator")(calls):
        yield from made


def _make(plans: list[Plan], seconds: float, seed: int) -> list[Clip]:
    return [make_clip(plan, seconds, seed) for plan in plans]


def make_clip(plan: Plan, seconds: float, seed: int) -> Clip:
    """Return the clip of a plan."""
    record = draw_record(plan, seconds, seed)
    return Clip(
        id=plan.id,
        group=record["bases"][0]["seed"],
        split=plan.split,
        tags=tuple(leaf for leaf, _ in plan.bases),
        sound=audio(encode(render(record))),
        seconds=seconds,
        record=record,
        source="rendered",
        licence=RENDERED,
    )


def draw_record(plan: Plan, seconds: float, seed: int) -> dict[str, Any]:
    """Draw the parameters of a clip: all that `render` needs."""
    rng = generator("clip", seed, plan.id)
    bases = []
    for leaf, number in plan.bases:
        base = f"{seed}/{plan.split}/{leaf}/{number}"
        parameters = VOICES[leaf].draw(generator("voice", base))
        bases.append({"leaf": leaf, "seed": base, "level_db": 0.0, "parameters": parameters})
    for base in bases[1:]:
        base["level_db"] = float(f"{rng.uniform(*SECOND_DB):.3f}")
    return {"seconds": seconds, "bases": bases, "scene": draw_scene(rng, seconds)}


def render(record: dict[str, Any]) -> np.ndarray:
    """Return the samples float64[S] of a record, at 16 kHz and within [-1, 1]."""
    seconds = record["seconds"]
    sounds = [signal_of(base, seconds * (1 + SPARE)) for base in record["bases"]]
    levels = [base["level_db"] for base in record["bases"]]
    return heard(mix(sounds, levels), record["scene"], seconds)


def signal_of(base: Mapping[str, Any], seconds: float) -> np.ndarray:
    """Return a base signal float64[S] of so many seconds."""
    rng = generator("signal", base["seed"])
    return VOICES[base["leaf"]].sound(rng, seconds, base["parameters"])


def encode(samples: np.ndarray) -> bytes:
    """Return samples within [-1, 1] as a FLAC file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
