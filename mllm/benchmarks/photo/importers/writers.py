"""Who writes: rules, an endpoint, or a model of ours. Each is an answerer, and replies are kept by
their content, so an import that was stopped asks only what is missing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mllm.benchmarks.photo.importers.options import Options
from mllm.benchmarks.photo.importers.subjects import is_advice, is_fault, topics_of
from mllm.checkpoints.folder import load_model
from mllm.evaluation.endpoint import Endpoint, EndpointConfig
from mllm.evaluation.kept_answers import Kept
from mllm.evaluation.request import Answerer, Reply, Request
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.web import Patience
from mllm.paths import local_path
from mllm.registry import lookup

MOST_SENTENCES = 12  # of a critique that rules make
FEWEST_WORDS = 8
RULES = 1  # raise it whenever rules write something else


@dataclass(frozen=True)
class Rules:
    """Write by rules: a stand-in for a text model, which only chooses and sorts sentences."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """The version of the rules."""
        return {"rules": RULES}

    def answer(self, requests: Sequence[Request], done: set[str]) -> Iterator[list[Reply]]:
        """Yield the replies to requests of `writing`."""
        written = [
            Reply(one.key, text=_STEPS[one.tags["step"]](one.tags))
            for one in requests
            if one.key not in done
        ]
        if written:
            yield written


def _summarise(known: Mapping[str, Any]) -> str:
    """Keep the sentences about a topic: praise, then faults, then advice."""
    about = [one for one in known["sentences"] if topics_of(one)]
    ranked = sorted(about, key=lambda one: 2 * is_advice(one) + is_fault(one))
    return " ".join(_ended(one) for one in ranked[:MOST_SENTENCES]) or "NONE"


def _filter(known: Mapping[str, Any]) -> str:
    critique = known["critique"]
    return "Yes" if len(critique.split()) >= FEWEST_WORDS and topics_of(critique) else "No"


def _convert(known: Mapping[str, Any]) -> str:
    said: dict[str, list[str]] = {"Description": [], "Weaknesses": [], "How to improve": []}
    for sentence in sentences_of(known["critique"]):
        name = "How to improve" if is_advice(sentence) else "Description"
        said["Weaknesses" if name == "Description" and is_fault(sentence) else name].append(
            sentence
        )
    if not said["Description"]:  # a critique of faults alone still says what is there
        said["Description"] = said["Weaknesses"] or said["How to improve"]
    return "\n".join(f"{name}: {' '.join(found) or 'None'}" for name, found in said.items())


_STEPS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "summarise": _summarise,
    "filter": _filter,
    "convert": _convert,
    "ask": lambda known: "NONE",  # rules cannot tell which answers are wrong
    "blind": lambda known: "NONE",
}


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text."""
    found, rest = [], text.strip()
    for end in range(len(rest) - 1):
        if rest[end] in ".!?" and rest[end + 1].isspace():
            found.append(end + 1)
    starts, ends = [0, *found], [*found, len(rest)]
    return [rest[a:b].strip() for a, b in zip(starts, ends, strict=True) if rest[a:b].strip()]


def _ended(sentence: str) -> str:
    text = sentence[:1].upper() + sentence[1:]
    return text if text[-1] in ".!?" else f"{text}."


def writer_of(options: Options, work: Path) -> Answerer:
    """Return who writes.

    Args:
      work: a folder for replies.

    Raises:
      ValueError, FileNotFoundError: the endpoint or the model is not described, or not there.
    """
    if options.writer == "endpoint":
        return Endpoint(_endpoint(options.endpoint), work / "endpoint.jsonl")
    if options.writer == "model":
        if not options.model:
            raise ValueError("writer 'model' needs model: the folder of a model that writes text")
        return _model(local_path(options.model), work)
    return Rules()


def _endpoint(given: Mapping[str, Any]) -> EndpointConfig:
    known = {one.name: one for one in fields(EndpointConfig)}
    for name in given:
        lookup(known, name, "field of endpoint")
    if missing := [name for name in ("model", "url") if not given.get(name)]:
        raise ValueError(f"writer 'endpoint' needs endpoint.{' and endpoint.'.join(missing)}")
    values = dict(given)
    if isinstance(values.get("patience"), Mapping):
        values["patience"] = Patience(**values["patience"])
    return EndpointConfig(**values)


def _model(folder: Path, work: Path) -> Kept:
    loaded = load_model(folder)
    model = LocalModel(loaded)
    named = {"checkpoint_digest": loaded.digest(), "answerer": dict(model.identity)}
    return Kept(named, lambda: model, work / "answers")
