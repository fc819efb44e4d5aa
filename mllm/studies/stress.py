"""Attack a finished run, and note for each question whether the right answer comes back.

``stress.json`` lies next to the replies of the evaluation whose questions are asked, sealed with
the manifest of that evaluation. It is written after every attack, so a stopped command continues.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mllm.checkpoints.folder import load_model
from mllm.checkpoints.loaded import Loaded
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.inspection import OPTIONS, Inspection, read_inspection, write_inspection
from mllm.evaluation.request import Reply, Request
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.stress.weights import AS_SAVED, WEIGHTS
from mllm.ops.lora import merge_lora
from mllm.parallel.launch import is_first, wait_for_all
from mllm.parallel.place import place
from mllm.registry import lookup
from mllm.studies.lock import hold
from mllm.studies.relearning import Relearning, relearned
from mllm.studies.start import device_mesh

NAME = "stress"
QUESTION = "question"  # tag of a request: the name of the question that it asks in some form
Value = Callable[[Request, Reply], float]


@dataclass(frozen=True)
class Stress:
    """What a benchmark offers to attack a run with.

    Attributes:
      questions: what a report reads of each question, by its name.
      plain: the questions as they are, asked after every attack on weights.
      forms: the questions in other forms, by the name of the attack. Several requests of one name
        of a question add up.
      groups: names of forms that are asked in one go, which share programs and what is read of
        each picture; each form is in one of them.
      relearning: what a model is trained on, by the name of the attack.
      known: names of questions that a relearning answers itself; its attack leaves them out.
      value: of one reply.
      options: JSON values that everything above follows from, besides the data.
    """

    questions: Mapping[str, Mapping[str, Any]]
    plain: Sequence[Request]
    forms: Mapping[str, Sequence[Request]]
    groups: Sequence[Sequence[str]]
    relearning: Mapping[str, Relearning]
    value: Value
    options: Mapping[str, Any]
    known: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def attacks(self) -> tuple[str, ...]:
        """The names of all attacks, in the order in which they are made."""
        return (*WEIGHTS, *self.relearning, *self.forms)


def stress(
    run: Path,
    evaluation: Path,
    manifest: Mapping[str, Any],
    config,
    offered: Stress,
    chosen: Collection[str] = (),
) -> list[str]:
    """Make the attacks that were not made yet on a finished run, and return their names.

    Args:
      run: its folder. evaluation: the folder of the evaluation, of this manifest.
      config: of the run. chosen: names of attacks; none chooses all.

    Raises:
      ValueError: an unknown attack, or another command writes into the folder of the evaluation.
    """
    for name in chosen:
        lookup(dict.fromkeys(offered.attacks), name, "attack")
    with hold(evaluation):
        wait_for_all(f"{NAME} is looked for in {evaluation}")
        known = read_inspection(evaluation, NAME, manifest) or {}
        attacks = known["attacks"] if known.get(OPTIONS) == dict(offered.options) else {}
        wanted = [name for name in offered.attacks if not chosen or name in chosen]
        missing = [name for name in wanted if name not in attacks]
        if not missing:
            return []
        for name, values in _attacked(run, config, offered, missing):
            attacks[name] = values
            found = {name: attacks[name] for name in offered.attacks if name in attacks}
            _write(evaluation, manifest, offered, found)
    return missing


def _write(folder: Path, manifest: Mapping[str, Any], offered: Stress, attacks: dict) -> None:
    if is_first():
        inspection = Inspection(NAME, dict, offered.options)
        found = {"questions": dict(offered.questions), "attacks": attacks}
        write_inspection(folder, inspection, found, manifest)


def _attacked(
    run: Path, config, offered: Stress, names: Sequence[str]
) -> Iterator[tuple[str, dict[str, float] | None]]:
    """Yield the name of each attack with the value of each question, by its name; None where the
    attack does not apply to the model.
    """
    loaded = load_model(run, mesh=device_mesh(config))
    ask = partial(_ask, config, loaded, offered)
    for name in names:
        if name in WEIGHTS:
            variables = WEIGHTS[name](loaded.variables)
            yield name, None if variables is None else ask(variables, offered.plain)
        elif name in offered.relearning:
            variables = relearned(loaded, offered.relearning[name], config)
            values = ask(variables, offered.plain)
            left_out = offered.known.get(name, ())
            yield name, {key: value for key, value in values.items() if key not in left_out}
    for group in offered.groups:
        forms = [name for name in group if name in names]
        if not forms:
            continue
        requests = [request for name in forms for request in offered.forms[name]]
        replies = answers(config, loaded, merge_lora(loaded.variables), requests)
        for name in forms:
            yield name, _values(offered, offered.forms[name], replies)


def _ask(
    config, loaded: Loaded, offered: Stress, variables: dict, requests: Sequence[Request]
) -> dict[str, float]:
    return _values(offered, requests, answers(config, loaded, variables, requests))


def answers(
    config, loaded: Loaded, variables: dict, requests: Sequence[Request]
) -> dict[str, Reply]:
    """Return the replies to requests by key, of a model with other weights of the same shapes."""
    placed = place(variables, device_mesh(config))
    changed = replace(loaded, variables=split_for_decoding(placed), lora=None)
    model = LocalModel(changed, rows=config.evaluation.rows)
    return {reply.key: reply for lot in model.answer(requests, set()) for reply in lot}


def _values(
    offered: Stress, requests: Sequence[Request], replies: Mapping[str, Reply]
) -> dict[str, float]:
    """Return the value of each question, the sum over the requests that ask it; a question with a
    reply that is an error has none.
    """
    found: dict[str, float] = {}
    failed = set()
    for request in requests:
        question, reply = request.tags[QUESTION], replies[request.key]
        if reply.state == "error":
            failed.add(question)
            continue
        found[question] = found.get(question, 0.0) + offered.value(request, reply)
    return {question: value for question, value in found.items() if question not in failed}


__all__ = ["AS_SAVED", "NAME", "QUESTION", "Stress", "answers", "stress"]
