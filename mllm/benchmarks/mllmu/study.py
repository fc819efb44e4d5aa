"""The study of MLLMU-Bench: a model is taught people, then forgets some of them.

    pretrained -> base -> vanilla -> each method
                       -> retain_only

``base`` learns to see, and the public figures; ``vanilla`` then learns the profiles to retain and
to forget, ``retain_only`` only those to retain. Every method starts from ``vanilla``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mllm.benchmarks.mllmu import benchmark as dataset
from mllm.benchmarks.mllmu.allowed import allowed
from mllm.benchmarks.mllmu.anchors import Anchors, ask_about_pictures
from mllm.benchmarks.mllmu.answerable import notes
from mllm.benchmarks.mllmu.ask import paper_questions, strict_questions
from mllm.benchmarks.mllmu.benchmark import AXES, Benchmark
from mllm.benchmarks.mllmu.export import export_published
from mllm.benchmarks.mllmu.judged import judging
from mllm.benchmarks.mllmu.likelihood import base_likelihood
from mllm.benchmarks.mllmu.measures import measures
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
from mllm.benchmarks.mllmu.scores import score_replies
from mllm.benchmarks.mllmu.sets import (
    FORGET,
    RETAIN,
    evaluation_sets,
    taught,
    unseen_people,
)
from mllm.benchmarks.mllmu.stress import attacks_on
from mllm.benchmarks.mllmu.strict import StrictProtocol, strict_items
from mllm.benchmarks.mllmu.tuning import CRITERION
from mllm.benchmarks.mllmu.workload import workload
from mllm.data.conversation import Example
from mllm.data.refusals import Refused
from mllm.data.source import Joined, Source
from mllm.evaluation.inspection import Inspection
from mllm.evaluation.judging.judges import JudgeOptions, chosen_judges
from mllm.evaluation.request import Answered, Questions
from mllm.evaluation.review import Review
from mllm.registry import lookup
from mllm.studies.stage import Stage
from mllm.studies.stress import Stress
from mllm.unlearning import get_objective

__all__ = [
    "AXES",
    "CRITERION",
    "Benchmark",
    "export_published",
    "labels",
    "open_benchmark",
    "part",
    "prepare",
    "questions",
    "score",
    "stages",
    "stress",
    "summary",
    "workload",
]

# Who is taught, unlearned and asked about.
SPLIT = ("tuning", "benchmark.forget")
SHOWN = ("benchmark.limit", "benchmark.pictures")  # which people a stage sees, and how
PEOPLE = tuple(f"benchmark.limit.{group}" for group in ("forget", "retain", "celebrity"))


def prepare(config, progress=None) -> Benchmark:
    """Write the benchmark of a configuration unless it is there, and open it."""
    return dataset.prepare(**_chosen(config), progress=progress)


def open_benchmark(config) -> Benchmark:
    """Open the prepared benchmark of a configuration."""
    return Benchmark.open(**_chosen(config))


def _chosen(config) -> dict[str, Any]:
    """Return which data set a configuration names."""
    chosen = config.benchmark
    return {
        "data_dir": chosen.data_dir,
        "config": chosen.config,
        "seed": chosen.seed,
        "published_dir": chosen.published_dir or None,
    }


def summary(benchmark: Benchmark) -> list[str]:
    """Return a line about each split, which measures the rows allow, and what is odd about those of
    an imported one.
    """
    lines, skipped, untaught = [], [], []
    for split in benchmark.splits:
        profiles = benchmark.profiles(split)
        questions = pairs = 0
        for profile in profiles:
            questions += len(profile.questions)
            pairs += len(profile.training)
            if split == "full" and not profile.training:
                untaught.append(profile.id)
            strict_items({split: [profile]}, skipped)
        lines.append(
            f"{split:<11} {len(profiles):5} rows {questions:6} questions {pairs:6} training pairs"
        )
    if untaught:
        more = f" and {len(untaught) - 8} more" if len(untaught) > 8 else ""
        lines.append(f"no training pairs that can be read: {', '.join(untaught[:8])}{more}")
    lines += allowed(benchmark.profiles("full"), benchmark.splits)
    return [*lines, *notes(StrictProtocol.name, skipped)]


def labels(config) -> dict:
    """Return what is forgotten, which identifies a run together with method and seed."""
    return {"forget": config.benchmark.forget}


def part(config) -> str:
    """Return the folder of an evaluation below that of its protocol: of the split to forget."""
    return f"forget_{config.benchmark.forget}"


def stages(config) -> dict[str, Stage]:
    """Return the graph of the study, in order."""
    nll, found = get_objective("nll"), []
    if config.pretrained:
        depends_on = ("seed", "pretrained", "model", "processor")
        found.append(Stage("pretrained", depends_on))
    found.append(
        Stage(
            "base",
            ("seed", "model", "processor", "rows", "base", "lora", *SHOWN),
            parent="pretrained" if config.pretrained else None,
            schedule=config.base,
            objective=nll,
            examples=partial(_base_examples, config),
            asked_within=() if config.pretrained else ("benchmark.limit.celebrity",),
        )
    )
    teaching = ("seed", "tuning", "rows", "vanilla", "replay", "lora", *SHOWN)
    found.append(
        Stage(
            "vanilla",
            teaching,
            parent="base",
            schedule=config.vanilla,
            objective=nll,
            examples=partial(_taught_examples, config, ("retain", "forget")),
            asked_as=("tuning",),
            asked_within=PEOPLE,
        )
    )
    found.append(
        Stage(
            "retain_only",
            (*teaching, "retain_only_epochs", "benchmark.forget"),
            parent="base",
            schedule=_retain_only_schedule(config),
            objective=nll,
            examples=partial(_taught_examples, config, ("retain",)),
            asked_as=SPLIT,
            asked_within=PEOPLE,
            folder=f"retain_only_{config.benchmark.forget}",
        )
    )
    found += [_method(config, name) for name in config.methods]
    return {stage.name: stage for stage in found}


def _method(config, name: str) -> Stage:
    """Return the stage of an unlearning method.

    A variant names runs of the chosen method, never those that it starts from.
    """
    chosen = config.objective
    variant = f"_{chosen.variant}" if chosen.variant and name == chosen.name else ""
    schedule = config.methods[name]
    objective = get_objective(name, **schedule.options)
    return Stage(
        name,
        (
            "seed",
            "tuning",
            "rows",
            "lora",
            f"methods.{name}",
            "benchmark.forget",
            "benchmark.modality",
            *SHOWN,
        ),
        parent="vanilla",
        schedule=schedule,
        objective=objective,
        examples=partial(
            _unlearning_examples, config, objective.refuses, objective.twin, objective.anchor
        ),
        inquiry=partial(ask_about_pictures, config, "vanilla") if objective.anchor else None,
        consults=("vanilla",) if objective.anchor else (),
        asked_as=SPLIT,
        asked_within=PEOPLE,
        folder=f"{name}{variant}_{config.benchmark.forget}",
        method=True,
    )


def _retain_only_schedule(config):
    """Return the schedule of ``vanilla``, over as many epochs unless others are given."""
    if config.retain_only_epochs is None:
        return config.vanilla
    schedule = config.vanilla.copy_and_resolve_references()
    schedule.epochs = config.retain_only_epochs
    return schedule


def _base_examples(config, benchmark) -> Source[Example]:
    """Return captions and public figures; published weights know the latter already, and only have
    to learn to see.
    """
    groups = ("captions",) if config.pretrained else ("celebrity", "captions")
    return Joined(*(taught(config, benchmark, group) for group in groups))


def _taught_examples(config, groups: tuple[str, ...], benchmark) -> Source[Example]:
    """Return the pairs of groups of profiles, and of the public figures if they are replayed."""
    chosen = (*groups, "celebrity") if config.replay else groups
    return Joined(*(taught(config, benchmark, group) for group in chosen))


def _unlearning_examples(
    config, refuses: bool, twin: str, anchor: str, benchmark, answered: Sequence[Answered] = ()
) -> Source[Example]:
    """Return the pairs of the profiles to retain and to forget, with these as roles, and refusals
    where the objective wants them; in place of what is to be retained, what the starting model
    says about pictures where it wants anchors.

    Args:
      refuses, twin, anchor: of the objective.
    """
    modality = config.benchmark.modality
    if anchor:
        anchors = Anchors(config, benchmark, answered, anchor)
        return Joined(anchors, taught(config, benchmark, FORGET, FORGET, modality))
    retain, forget = (taught(config, benchmark, role, role, modality) for role in (RETAIN, FORGET))
    twins = [Refused(forget, twin)] if twin else []
    return Joined(retain, Refused(forget) if refuses else forget, *twins)


def questions(config, benchmark: Benchmark, family: str) -> Questions:
    """Return what is asked about all sets, by the protocol of a configuration."""
    chosen = config.evaluation.protocol
    asked = lookup(PROTOCOLS, chosen, "protocol (config.evaluation.protocol)")
    sets = evaluation_sets(config, benchmark)
    found = asked(config, benchmark, sets, family)
    return replace(
        found,
        conditions={**found.conditions, "tuning": config.tuning},
        inspections=_inspections(config, benchmark, sets),
        reviews=_reviews(config, sets),
    )


def _inspections(config, benchmark: Benchmark, sets) -> tuple[Inspection, ...]:
    """Return the measurement of answers token by token, if it is asked for."""
    if not config.evaluation.measures:
        return ()
    people = {**sets, **unseen_people(config, benchmark)}
    return (measures(people, config.evaluation.gradients),)


def _reviews(config, sets) -> tuple[Review, ...]:
    """Return the judging of free replies and their likelihood under base, if asked for."""
    options = JudgeOptions(**config.evaluation.judging)
    judges = chosen_judges(config.evaluation.judges, options)
    found = [judging(judges, sets)] if judges else []
    return (*found, base_likelihood()) if config.evaluation.likelihood else tuple(found)


def score(records: list[dict], config) -> list[dict]:
    """Return the scores of all sets, tasks and modalities."""
    return score_replies(records, protocol=config.evaluation.protocol)


def stress(config, benchmark: Benchmark, forget: int, **budget) -> Stress:
    """Return the attacks on a run that is asked about a split to forget, in percent.

    Args:
      budget: of every relearning, ``steps`` and ``learning_rate``.
    """
    asked = config.copy_and_resolve_references()
    asked.benchmark.forget = forget
    return attacks_on(asked, benchmark, **budget)


def _strict(config, benchmark, sets, family) -> Questions:
    limits = {k: v for k, v in config.evaluation.items() if k.endswith("_tokens")}
    return strict_questions(sets, StrictProtocol(**limits, asks=config.evaluation.asks))


def _paper(config, benchmark, sets, family) -> Questions:
    if config.evaluation.asks != "all":
        raise ValueError(
            f"config.evaluation.asks is {config.evaluation.asks!r}, but the protocol 'paper' asks "
            "all; expected 'all'"
        )
    pool = benchmark.profiles("full")
    if config.tuning:  # then the people to forget are others, with facts of their own
        pool = Joined(pool, benchmark.profiles("validation"))
    protocol = PaperProtocol(**config.evaluation.paper).for_family(family)
    return paper_questions(sets, pool, protocol)


PROTOCOLS = {"strict": _strict, "paper": _paper}
