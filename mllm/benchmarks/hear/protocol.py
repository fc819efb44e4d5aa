"""What is asked about each clip: a caption, its classes, and relation questions.

A lot of clips is asked about in two rounds. The first plays sounds or names labels. The second
reads the captions that the model gave in the first, so it shows what a model makes of its words.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mllm.benchmarks.hear.asking import (
    caption_requests,
    direct_requests,
    relation_requests,
    two_step_request,
)
from mllm.benchmarks.hear.entries import Entry, balanced, entries_of
from mllm.benchmarks.hear.incontext import DESCRIBED, PLAIN, VARIANTS, Benchmark, prefix_of
from mllm.benchmarks.hear.prompts import CONDITIONS
from mllm.benchmarks.hear.relations import RELATIONS, Probe, probes_of
from mllm.benchmarks.hear.row import SPLITS
from mllm.evaluation.request import Request, Rounds
from mllm.registry import lookup

LOT = 64  # clips of one round: no more of their sounds are in memory at a time


@dataclass(frozen=True)
class Protocol:
    """What is asked of every model.

    Attributes:
      split: of the clips. clips: how many of them, the first ones; 0 is all.
      validation: how many clips of the validation split are classified too; thresholds are chosen
        on them. 0 is none.
      per_label: of how many clips of each label relation questions are asked; 0 is all.
      relations, conditions: of these questions.
      variants: of the prompts for captions and classes. described: the classes that they describe.
      examples: of the variant "examples".
      two_step: whether the model also classifies its captions without the sound.
      generated: whether relation questions are also answered by generated text.
      caption_tokens: the most tokens of a caption.
      seed: of the wrong terms and the examples.

    Raises:
      ValueError: an unknown name, a number below 0, or thresholds would be chosen on the split that
        they are used on.
    """

    name: str = "hear"
    split: str = "test"
    clips: int = 0
    validation: int = 0
    per_label: int = 8
    relations: tuple[str, ...] = RELATIONS
    conditions: tuple[str, ...] = CONDITIONS
    variants: tuple[str, ...] = (PLAIN,)
    described: str = "rare"
    examples: int = 4
    two_step: bool = True
    generated: bool = False
    caption_tokens: int = 24
    seed: int = 0

    def __post_init__(self):
        known = {
            "split": (SPLITS, (self.split,)),
            "relations": (RELATIONS, self.relations),
            "conditions": (CONDITIONS, self.conditions),
            "variants": (VARIANTS, self.variants),
            "described": (DESCRIBED, (self.described,)),
        }
        for field, (names, chosen) in known.items():
            for name in chosen:
                lookup(dict.fromkeys(names), name, f"evaluation.{field}")
        for field in ("clips", "validation", "per_label", "examples"):
            if getattr(self, field) < 0:
                raise ValueError(
                    f"evaluation.{field} is {getattr(self, field)}, expected 0 or more"
                )
        if self.validation and self.split == "validation":
            raise ValueError(
                "evaluation.split is 'validation' and thresholds would be chosen on it too; set "
                "evaluation.validation=0"
            )

    def digest_fields(self) -> dict[str, Any]:
        """Return what must be equal for replies to be comparable."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def asked(benchmark: Benchmark, protocol: Protocol) -> dict[str, list[Entry]]:
    """Return the clips that are asked about, by split: that of the protocol first.

    A clip that is tagged with inner concepts alone, such as "bird", has no right class and is left
    out.
    """
    counts = {protocol.split: protocol.clips}
    counts |= {"validation": protocol.validation} if protocol.validation else {}
    found = {}
    for split, count in counts.items():
        clips = benchmark.clips(split)
        entries = entries_of(clips[:count] if count else clips, benchmark.ontology)
        found[split] = [entry for entry in entries if entry.label is not None]
    return found


def probes(benchmark: Benchmark, protocol: Protocol, entries: Sequence[Entry]) -> list[Probe]:
    """Return the relation questions about the clips of a split."""
    chosen = balanced(entries, protocol.per_label)
    return probes_of(chosen, benchmark.ontology, protocol.relations, seed=protocol.seed)


def rounds(benchmark: Benchmark, protocol: Protocol) -> Rounds:
    """Yield the requests about all clips, a lot of them at a time."""
    for split, entries in asked(benchmark, protocol).items():
        questions = probes(benchmark, protocol, entries) if split == protocol.split else []
        asking = _Asking(benchmark, protocol, split, questions)
        for first in range(0, len(entries), LOT):
            lot = entries[first : first + LOT]
            requests = [request for entry in lot for request in asking.first(entry)]
            replies = yield requests
            captions = {
                request.tags["clip"]: (reply.text or "").strip()
                for request, reply in zip(requests, replies, strict=True)
                if request.tags["task"] == "caption" and request.tags["condition"] == PLAIN
            }
            further = [r for entry in lot for r in asking.second(entry, captions[entry.id])]
            if further:
                yield further


class _Asking:
    """What is asked about the clips of one split."""

    def __init__(
        self, benchmark: Benchmark, protocol: Protocol, split: str, probes: Sequence[Probe]
    ):
        self._clips, self._protocol, self._split = benchmark.clips(split), protocol, split
        self._classes = benchmark.ontology.leaves
        variants = dict.fromkeys((PLAIN, *protocol.variants))
        options = (protocol.described, protocol.examples, protocol.seed)
        self._prefixes = {name: prefix_of(name, benchmark, *options) for name in variants}
        self._about, self._played = defaultdict(list), defaultdict(list)
        for probe in probes:
            self._about[probe.clip.id].append(probe)
            self._played[probe.other.id].append(probe)

    def first(self, entry: Entry) -> Iterator[Request]:
        """Yield what needs no caption: all that plays the sound of a clip, and what names its
        label.
        """
        split, sound = self._split, self._clips[entry.number].sound.data
        tokens = self._protocol.caption_tokens
        yield from caption_requests(split, entry, sound, self._prefixes, tokens)
        yield from direct_requests(split, entry, sound, self._prefixes, self._classes)
        for condition in self._protocol.conditions:
            if condition == "C":
                continue
            probes = (self._played if condition == "R" else self._about)[entry.id]
            for probe in probes:
                yield from self._relation(probe, condition, sound=sound)

    def second(self, entry: Entry, caption: str) -> Iterator[Request]:
        """Yield what reads the caption of a clip in place of its sound."""
        if self._protocol.two_step:
            yield two_step_request(self._split, entry, caption, self._classes)
        if "C" in self._protocol.conditions:
            for probe in self._about[entry.id]:
                yield from self._relation(probe, "C", caption=caption)

    def _relation(self, probe: Probe, condition: str, **shown: Any) -> Iterator[Request]:
        generated = self._protocol.generated
        yield from relation_requests(self._split, probe, condition, generated, **shown)
