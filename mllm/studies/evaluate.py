"""Ask a finished run what its benchmark asks, score the replies and write the results."""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mllm.checkpoints.contents import Verification
from mllm.evaluation.inspection import (
    OPTIONS,
    Inspection,
    read_inspection,
    write_inspection,
)
from mllm.evaluation.kept_answers import Kept
from mllm.evaluation.looks import FILE as LOOKS
from mllm.evaluation.looks import Watch, read_looks, watched, write_looks
from mllm.evaluation.places import (
    MANIFEST,
    evaluation_name,
    find_folder,
    read_manifest,
)
from mllm.evaluation.request import Answerer, Questions, content_key
from mllm.evaluation.review import Review, is_done, read_review, write_review
from mllm.evaluation.runner import LocalModel
from mllm.evaluation.store import (
    RECORDS,
    REPLIES,
    ask,
    use_replies_of,
    whole_manifest,
    with_questions_named,
)
from mllm.files import file_digest, is_sealed, read_json, read_jsonl, seal, without_seal, write_json
from mllm.parallel.launch import is_first, wait_for_all
from mllm.studies.answering import kept, kept_model, load_for_evaluation, local_model
from mllm.studies.efficiency import measure
from mllm.studies.environment import environment
from mllm.studies.lock import hold, hold_when_free
from mllm.studies.run import UNVERIFIED, Run
from mllm.studies.stage import Stages, find, folder_name
from mllm.studies.system import System
from mllm.training.progress import counted

EFFICIENCY, SCORES = "efficiency.json", "scores.json"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation on disk.

    Attributes:
      folder: holds replies, records and scores.
      entry: of the results.
    """

    folder: Path
    entry: dict[str, Any]


def evaluate(run: Run, config, system: System, benchmark) -> Evaluated:
    """Ask and score a finished run.

    Writes replies and scores into ``eval/<protocol>/<part>/``, and all parts so far into
    ``eval/<protocol>/results.json``. A run may be evaluated under several protocols and several
    sets of options, side by side (``mllm.evaluation.places``).

    Raises:
      ValueError: another command asks the same run by the same protocol, or the run was made for
        other questions than those of the configuration.
    """
    asked = replace(run, config=config)
    asked.require_asked_as_made(find(system.stages(config), run.method))
    asking = config.evaluation
    name = evaluation_name(asking.protocol, asking.weights, asking.kv)
    with hold(run.folder / "eval" / name / system.part(config)):
        return _evaluate(run, config, name, system, benchmark)


def _evaluate(run: Run, config, name: str, system: System, benchmark) -> Evaluated:
    record, part = run.record(), system.part(config)
    questions, answerer = questions_for(run, config, system, benchmark)
    helpers = others_for(run, config, system, benchmark, questions)
    questions = with_questions_named(questions)
    model = {
        "checkpoint_digest": record["checkpoint_digest"],
        "data_fingerprint": benchmark.fingerprint,
        "answerer": dict(answerer.identity),
    }
    if helpers:
        model["asked"] = {name: dict(other.named) for name, other in helpers.items()}
    unverified = record.get(UNVERIFIED, False) or not Verification.weights
    unverified = unverified or any(UNVERIFIED in other.named for other in helpers.values())
    if unverified:
        model[UNVERIFIED] = True
    manifest = whole_manifest(model, questions)
    folder = find_folder(run.folder / "eval", name, part, manifest)
    if is_first() and not (folder / REPLIES).exists():
        others = sorted((run.folder / "eval").glob(f"*/{part}"))
        any(use_replies_of(other, folder, manifest) for other in others)
    for line in questions.notes if is_first() else ():
        print(line, flush=True)
    watch = _watch(answerer, folder, manifest, config.evaluation.get("looks", 0))
    if watch is not None:
        questions = replace(questions, rounds=watched(questions.rounds, watch.add))
    progress = counted(f"evaluate {run.folder.name}, {folder.parent.name}")
    answerers = {"subject": answerer, **helpers}
    with alone_with(helpers):
        records = ask(questions, answerers, folder, manifest, progress=progress)
    if watch is not None and (found := watch.looks()) is not None and is_first():
        write_looks(folder, found, _looks_follow_from(manifest, watch.shown))
    if isinstance(answerer, LocalModel):
        for inspection in questions.inspections:
            _inspect(inspection, answerer, folder, manifest)
    cost = record.get("cost", {})
    if (measured := _read_efficiency(folder, manifest)) is not None:
        cost = {**cost, "efficiency": measured}
    entry = {
        "method": run.method,
        "seed": record["seed"],
        **system.labels(config),
        "checkpoint_digest": record["checkpoint_digest"],
        "protocol": folder.parent.name,
        "scores": system.score(records, config),
        "cost": cost,
        **({UNVERIFIED: True} if unverified else {}),
    }
    if is_first():
        write_results(folder, entry, config.benchmark.name, system.AXES)
    wait_for_all(f"{folder} is scored")
    for review in questions.reviews:
        others = run_models(run, config, system, benchmark, questions, review.asks)
        with alone_with(others):
            _review(review, records, others, folder / RECORDS, manifest)
    return Evaluated(folder, entry)


@contextlib.contextmanager
def alone_with(others: Mapping[str, Kept]) -> Iterator[None]:
    """Be the only command that asks these models, whose replies lie in their own folders."""
    with contextlib.ExitStack() as stack:
        for folder in sorted({other.folder for other in others.values()}):
            stack.enter_context(hold_when_free(folder))
        yield


def _watch(
    answerer: Answerer, folder: Path, manifest: Mapping[str, Any], shown: int
) -> Watch | None:
    """Return what notes how an instructed model reads the questions; None for any other answerer,
    and where it is noted already.
    """
    if not isinstance(answerer, LocalModel) or answerer.features is None:
        return None
    wait_for_all(f"{folder / LOOKS} is looked for")
    try:
        read_looks(folder, _looks_follow_from(manifest, shown))
    except (FileNotFoundError, ValueError):
        return Watch(answerer, shown)
    return None


def _looks_follow_from(manifest: Mapping[str, Any], shown: int) -> str:
    return content_key(dict(manifest), shown)


def _inspect(
    inspection: Inspection, model: LocalModel, folder: Path, manifest: Mapping[str, Any]
) -> None:
    """Measure a model and write what was found, unless it is there."""
    wait_for_all(f"{inspection.name} is looked for in {folder}")
    known = read_inspection(folder, inspection.name, manifest)
    if known is not None and known[OPTIONS] == dict(inspection.options):
        return
    found = inspection.measure(model)
    if is_first():
        write_inspection(folder, inspection, found, manifest)


def _review(
    review: Review,
    records: Sequence[dict],
    others: Mapping[str, Answerer],
    path: Path,
    manifest: Mapping[str, Any],
) -> None:
    """Review the records of an evaluation and write what was found, unless it is there."""
    wait_for_all(f"{review.name} is looked for in {path.parent}")
    if is_done(read_review(path, review.name, manifest), review):
        return
    if not is_first() and not others:  # a model of many processes needs all of them
        return
    found = review.review(records, path.parent, others)
    if is_first():
        write_review(path, review, found, manifest)


def questions_for(run: Run, config, system: System, benchmark) -> tuple[Questions, Answerer]:
    """Return what a run is asked, and what answers: its model, or the answerer of its stage."""
    stages = system.stages(config)
    stage = find(stages, run.method)
    if stage.answerer is None:
        loaded = load_for_evaluation(run, config)
        questions = system.questions(config, benchmark, loaded.family)
        answerer = local_model(loaded, config, questions.refuse_long, run.folder.parent)
        if stage.through is not None:
            answerer = stage.through(benchmark, answerer)
        return questions, answerer
    questions = system.questions(config, benchmark, "")
    return questions, answerer_of(run, config, stages, benchmark, questions)


def others_for(
    run: Run, config, system: System, benchmark, questions: Questions
) -> dict[str, Kept]:
    """Return the models of ``Stage.asks`` of a run's stage, by name; see ``run_models``."""
    asks = find(system.stages(config), run.method).asks
    return run_models(run, config, system, benchmark, questions, asks)


def run_models(
    run: Run, config, system: System, benchmark, questions: Questions, names: Sequence[str]
) -> dict[str, Kept]:
    """Return models that a run's evaluation asks, by name: finished runs of its study.

    Raises:
      ValueError: one of them is not there or not finished.
    """
    stages, found = system.stages(config), {}
    for name in names:
        other = Run(run.folder.parent / folder_name(stages, name), name, config)
        record = other.record()
        if record.get("status") != "finished":
            raise ValueError(
                f"{run.folder}: its evaluation asks {name!r}, but {other.folder} holds no finished "
                f"run; make it with --config.objective.name={name}"
            )
        if find(stages, name).answerer is None:
            found[name] = kept_model(other, config, questions.refuse_long)
        else:
            answerer = answerer_of(other, config, stages, benchmark, questions)
            found[name] = kept(other, answerer.identity, lambda answerer=answerer: answerer)
    return found


def answerer_of(run: Run, config, stages: Stages, benchmark, questions: Questions) -> Answerer:
    """Return what answers in place of a run's model, of a stage that has an answerer."""
    stage, parent = find(stages, run.method), None
    if stage.parent is not None:
        above = Run(run.folder.parent / folder_name(stages, stage.parent), stage.parent, config)
        _require_parent(run, stage.parent, above)
        loaded = load_for_evaluation(above, config)
        parent = local_model(loaded, config, questions.refuse_long, run.folder.parent)
    return stage.answerer(benchmark, run.folder, parent)


def _require_parent(run: Run, name: str, above: Run) -> None:
    """Check that the weights behind a run's answers are those that it is recorded with.

    Raises:
      ValueError: its parent's folder holds others now.
    """
    recorded = run.record().get("made_from", {}).get("parents", {}).get(name)
    found = above.record().get("checkpoint_digest")
    if recorded not in (None, found):
        raise ValueError(
            f"{above.folder}: holds weights {str(found)[:12]}, but {run.folder} was made for "
            f"weights {recorded[:12]}; put them back, or delete {run.folder} and run this again"
        )


def measure_efficiency(run: Run, folder: Path, config, system: System, benchmark) -> None:
    """Measure what answering costs a run's model, and add it to the results; a run that answers
    without a model of its own, or was measured before, is passed over.

    It is measured when nothing else runs, so not as a part of ``evaluate``.

    Args:
      folder: of the run's evaluation.
    """
    manifest = read_manifest(folder) or {}
    if _read_efficiency(folder, manifest) is not None:
        return
    if find(system.stages(config), run.method).answerer is not None:
        return
    loaded = load_for_evaluation(run, config)
    rounds = system.questions(config, benchmark, loaded.family).rounds
    measured = measure(loaded, rounds)
    if is_first():
        write_json(folder / EFFICIENCY, seal(measured, manifest))
    wait_for_all(f"{folder / EFFICIENCY} is written")
    evaluate(run, config, system, benchmark)  # asks nothing: the replies are there


def _read_efficiency(folder: Path, manifest: Mapping[str, Any]) -> dict | None:
    """Return what was measured for this evaluation, None if nothing was or the file was changed."""
    try:
        measured = read_json(folder / EFFICIENCY)
    except (FileNotFoundError, ValueError):
        return None
    return without_seal(measured) if is_sealed(measured, manifest) else None


def write_results(folder: Path, entry: dict, benchmark: str, axes: tuple[str, ...]) -> None:
    """Write the scores of one evaluation, and the results of all parts next to it.

    Each entry names the files that it was made from by their content and is sealed, so that a
    report notices what was changed since.
    """
    made_from = {name: file_digest(folder / name) for name in (MANIFEST, RECORDS)}
    entry = seal({**entry, "made_from": {"part": folder.name, **made_from}})
    write_json(folder / SCORES, entry)
    results = {
        "schema": 1,
        "benchmark": benchmark,
        "axes": list(axes),
        "runs": [
            found
            for path in sorted(folder.parent.glob(f"*/{SCORES}"))
            if (found := _read_scores(path, entry)) is not None
        ],
        "environment": environment(),
    }
    write_json(folder.parent / "results.json", results)


def read_records(folder: Path) -> list[dict]:
    """Return the records of an evaluation.

    Raises:
      FileNotFoundError, ValueError: they are not there, or were changed since they were scored.
    """
    entry, path = read_json(folder / SCORES), folder / RECORDS
    if not is_sealed(entry) or entry["made_from"][RECORDS] != file_digest(path):
        raise ValueError(
            f"{path}: it or {SCORES} was changed after it was scored; evaluate the run again, "
            "which makes both from the replies that are there"
        )
    return read_jsonl(path)


def _read_scores(path: Path, like: Mapping[str, Any]) -> dict | None:
    """Return the scores of one part of the evaluation of a run, None if they were changed or are
    those of other weights.
    """
    reason = "it was changed"
    try:
        entry = read_json(path)
    except ValueError as error:
        reason, entry = str(error), {}
    if is_sealed(entry):
        same = ("method", "seed", "checkpoint_digest", "protocol")
        if all(entry.get(key) == like[key] for key in same):
            return entry
        reason = "its scores are of other weights"
    print(
        f"{path} is left out of results.json: {reason}; evaluate the run again for this part",
        file=sys.stderr,
        flush=True,
    )
    return None
