"""The plan of a command: what --dry_run prints, and what is said before anything is trained."""

from collections.abc import Sequence
from pathlib import Path

from experiments.common import note, say
from mllm.benchmarks import get_benchmark
from mllm.evaluation.places import MANIFEST, evaluation_name
from mllm.evaluation.store import RECORDS, REPLIES
from mllm.files import read_jsonl
from mllm.studies.estimate import Estimates, Work, finished_records
from mllm.studies.plan import BEGINS, GOES_ON, Plan, Planned, phrase

RUN_FILES = "run.json, model.json, processor.json, tokenizer.json, checkpoints/, metrics.jsonl"
EVALUATION_FILES = f"{REPLIES}, {MANIFEST}, {RECORDS}, scores.json and ../results.json"
REPORT_FILES = "results.json, report.html, report.md, report.csv, report.tex, figures/"


def announce(plan: Plan) -> None:
    """Say which runs are to be made, and from what, before minutes pass.

    Raises:
      ValueError, FileNotFoundError: one of them cannot be made.
    """
    plan.require()
    for line in plan.announcement():
        note(line)


def planned_data(config, *, made: bool = False):
    """Say where the data of a command is; return the opened benchmark, None if it is not there.

    Args:
      made: whether the command makes the data first.
    """
    system = get_benchmark(config.benchmark.name)
    try:
        benchmark = system.open_benchmark(config)
    except (FileNotFoundError, ValueError) as error:
        say(f"data: {'made first' if made else 'needed first'} ({error})")
        return None
    say(f"data: {benchmark.folder}, fingerprint {benchmark.fingerprint[:12]}")
    return benchmark


def show_runs(plan: Plan, studies: Sequence[Path], benchmark) -> Estimates | None:
    """Print a line about each run of a plan: what is done, steps, bytes and time.

    Args:
      studies: folders whose finished runs tell how long a step takes.

    Returns:
      what estimates were made with, None without data.
    """
    estimates = None
    if benchmark is not None:
        estimates = Estimates(benchmark, finished_records(studies))
    seconds, disk, unknown = 0.0, 0, 0
    for number, planned in enumerate(plan.runs.values(), 1):
        line = f"{number:3} {planned.run.folder}: {phrase(planned)}"
        if planned.state in (BEGINS, GOES_ON) and planned.stage.trains:
            work = _work(planned, estimates)
            if isinstance(work, str):
                line, unknown = f"{line}; {work}", unknown + 1
            elif work.steps:
                line += f"; {_described(work)}"
                disk += work.bytes
                seconds, unknown = seconds + (work.seconds or 0), unknown + (work.seconds is None)
        say(line)
    if plan.runs:
        known = f", {_time(seconds)} of training" if seconds else ""
        rest = f", {unknown} runs of unknown time" if unknown else ""
        say(f"in all: {_size(disk)} of checkpoints{known}{rest}")
        say(f"each run writes {RUN_FILES}")
    return estimates


def _work(planned: Planned, estimates: Estimates | None) -> Work | str:
    """Return what a run takes, or why that is not known."""
    if estimates is None:
        return "steps are known once the data is there"
    try:
        return estimates.of(planned)
    except (ValueError, FileNotFoundError) as error:
        return f"steps are not known ({error})"


def _described(work: Work) -> str:
    time = "time unknown: no run like it has ended here"
    if work.seconds is not None:
        time = f"about {_time(work.seconds)}"
    return f"{work.steps:,} steps, {_size(work.bytes)} of checkpoints, {time}"


def show_evaluation(number: int, planned: Planned, config, estimates: Estimates | None) -> None:
    """Print what the run of a line is asked, and where replies and scores go."""
    system = get_benchmark(config.benchmark.name)
    asking = config.evaluation
    name = evaluation_name(asking.protocol, asking.weights, asking.kv)
    folder = planned.run.folder / "eval" / name / system.part(config)
    there = len(read_jsonl(folder / REPLIES))
    kept = f", {there:,} replies are there" if there else ""
    asked = "as many requests as the data gives"
    if estimates is not None:
        try:
            asked = f"{estimates.requests(system, planned, config):,} requests first"
        except (ValueError, FileNotFoundError) as error:
            asked = f"requests are not known ({error})"
    say(f"{number:3} is asked under {name}: {asked}{kept}; in {folder}")


def end_of_plan() -> None:
    """Print that this was a plan."""
    say("dry run: nothing was written")


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
