"""The interleaved sequence of a sample, by prompt type: words and pictures, in order.

Instructions before and after the sequence, and the second turn of a chain of thought, depend on
the model as well; they are added by the prompts.
"""

from dataclasses import dataclass

from mllm.benchmarks.cobsat.prompt_lists import Sample
from mllm.benchmarks.cobsat.tasks import Pair, display
from mllm.registry import lookup

PROMPT_TYPES = ("default", "instruct", "misleading", "exact", "caption", "cot")


@dataclass(frozen=True)
class Words:
    """Text as it stands in the prompt."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A picture of a pair."""

    pair: Pair


@dataclass(frozen=True)
class Caption:
    """The caption of a pair's picture, in the place of the picture; a space follows it."""

    pair: Pair


Segment = Words | Picture | Caption


def assemble(sample: Sample, prompt_type: str = "default") -> tuple[Segment, ...]:
    """Return the 2 * shots + 1 segments of a sample: words and pictures in turn, words at the end.

    Args:
      sample: from `prompt_lists`.
      prompt_type: "default", "instruct" and "cot" write the input words; "misleading" writes a
        word that is not theta next to each, and "exact" writes theta; "caption" has captions in
        place of the pictures.

    Raises:
      ValueError: an unknown prompt type, or "misleading" for a sample whose list has no words for
        it other than theta.
    """
    lookup(dict.fromkeys(PROMPT_TYPES), prompt_type, "prompt type")
    units = [Words(text) for text in _units(sample, prompt_type)]
    shown = Caption if prompt_type == "caption" else Picture
    segments: list[Segment] = []
    for unit, pair in zip(units, sample.shown, strict=False):
        segments += [unit, shown(pair)]
    return (*segments, units[-1])


def query_unit(sample: Sample, prompt_type: str = "default") -> str:
    """Return the text of the query as `assemble` writes it; chains of thought repeat it."""
    return _units(sample, prompt_type)[-1]


def _units(sample: Sample, prompt_type: str) -> list[str]:
    """Return the text before each picture, and that of the query."""
    inputs = [display(x) for x in sample.inputs]
    if prompt_type == "exact":
        return [f"{x} {sample.theta}: " for x in inputs]
    if prompt_type == "misleading":
        if not sample.wrong:
            raise ValueError(
                f"sample {sample.name} of {sample.task.name}: its list has no {len(inputs)} words "
                "other than theta, which a misleading prompt needs; use the default list, or "
                "ft_test with at most 3 shots"
            )
        return [f"{x} {wrong}: " for x, wrong in zip(inputs, sample.wrong, strict=True)]
    return [f"{x}: " for x in inputs]
