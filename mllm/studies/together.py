"""Train runs of a sweep that are alike as one program, each into a folder of its own."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import optax
from jax.sharding import Mesh

from mllm.checkpoints.folder import combine, load_model, write_description
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.orbax import set_aside_damaged
from mllm.studies.alike import Member, member_of, same_options
from mllm.studies.beginning import as_start, changed
from mllm.studies.courses import Courses, courses_of, draw_of, first_states
from mllm.studies.lock import InUse, hold
from mllm.studies.start import device_mesh
from mllm.studies.system import System
from mllm.studies.train import (
    add_precomputed,
    chosen_policy,
    finish,
    make_optimizer,
    reference_of,
    step_config,
)
from mllm.training.compiled import COMPILED
from mllm.training.diverged import Diverged
from mllm.training.journal import Journal
from mllm.training.loop import run_steps
from mllm.training.progress import tell
from mllm.training.remat import is_auto, resolved
from mllm.training.step import Step
from mllm.training.together import make_together_step, stack, unstack


def ensure_together(
    chosen: Sequence[Any], workdirs: Sequence[Path], system: System, benchmark
) -> None:
    """Train the first of the runs of a sweep with those after it that are alike, at most
    ``config.together`` at once: each into its own folder, as ``mllm.studies.train.ensure`` would.

    Nothing is done if the first is finished or is like no other; ``ensure`` then makes it. Runs
    that were stopped go on together from the same step.

    Args:
      chosen: configurations, of the run that is about to be made and of those after it.
      workdirs: folders of their studies.
    """
    most = chosen[0].together
    if most < 2 or jax.process_count() > 1:
        return
    first = member_of(chosen[0], workdirs[0], system, benchmark)
    members = [] if first is None else [first]
    for config, workdir in zip(chosen[1:], workdirs[1:], strict=True):
        if not 0 < len(members) < most:
            break
        other = member_of(config, workdir, system, benchmark, like=members[0])
        if other is not None and all(other.alike(one) for one in members):
            members.append(other)
    while len(members) > 1:
        try:
            _train_claimed(members, benchmark)
            return
        except Diverged as error:  # the others go on without it
            members = [one for one in members if one.run.folder != error.folder]


def _train_claimed(members: Sequence[Member], benchmark) -> None:
    """Train runs that are alike while no other command may write into their folders; those that
    another command holds are left to it.

    Raises:
      InUse: it holds the first.
    """
    with contextlib.ExitStack() as held:
        claimed = []
        for one in members:
            try:
                held.enter_context(hold(one.run.folder))
            except InUse:
                if one is members[0]:
                    raise
                continue
            claimed.append(one)
            for line in set_aside_damaged(one.run.folder / "checkpoints"):
                tell(line)
        # Another command may have made one in the meantime.
        members = [one for one in claimed if not one.run.finished(one.source)]
        members = [one for one in members if one.done == members[0].done]
        try:
            train_members(members, benchmark)
        except Diverged as error:
            (run,) = (one.run for one in members if one.run.folder == error.folder)
            run.give_up(error)
            raise


def train_members(members: Sequence[Member], benchmark) -> None:
    """Train runs that are alike, from their last checkpoints; none where less than two are left.

    Runs of one seed share rows, pictures, and the passes of the reference.
    """
    if len(members) < 2:
        return
    lead, compiled = members[0], COMPILED.counts()
    stage, config, mesh = lead.stage, lead.run.config, device_mesh(lead.run.config)
    loads = lead.parents[: len(stage.loads)]
    loaded, *reference = [load_model(parent.folder, mesh=mesh) for parent in loads]
    start = as_start(changed(loaded, stage), stage.schedule, mesh)
    members, courses = courses_of(members, start, mesh, benchmark)
    if len(members) < 2 or getattr(start.config, "balance", 0):
        return
    first = courses[members[0].seed]
    frozen, steps = first.weights.frozen, first.pipeline.steps(stage.schedule.epochs)
    optimizer = make_optimizer(stage.schedule)
    states = first_states(members, courses, optimizer, steps, mesh)
    names = ", ".join(one.run.folder.name for one in members)
    tell(f"{len(members)} runs are trained together: {names}")
    described = replace(start, variables={}, lora=first.weights.lora)
    begin(members, courses, start, reference, described)
    with contextlib.ExitStack() as opened:
        journals = [opened.enter_context(journal_of(one, steps)) for one in members]
        restored = zip(journals, states, strict=True)
        stacked = stack([journal.restored(own) for journal, own in restored], mesh)
        shape, policy = step_config(config, start, first.weights), "nothing"
        make = partial(make_step, members, start, shape, optimizer, mesh)
        if is_auto(shape):
            policy = chosen_policy(members[0].run, make, stacked, frozen, first.pipeline, mesh)
            for one in members[1:]:
                one.run.write("running", remat=members[0].run.record()["remat"])
        step = make(policy)
        done = run_steps(
            lambda before, batch: step(before, frozen, batch),
            stacked,
            draw_of(members, courses, mesh),
            journals,
            partial(unstack, mesh=mesh),
        )
        ends = unstack(done, mesh=mesh)
    took = COMPILED.counts(since=compiled)
    for one, end in zip(members, ends, strict=True):
        trained = replace(described, variables=combine(frozen, end.trainable))
        parent = one.parents[0].folder
        finish(one.run, trained, end.trainable, parent, took, together=len(members))
        took = dict.fromkeys(took, 0)  # counted once


def begin(
    members: Sequence[Member],
    courses: Courses,
    start: Loaded,
    reference: list[Loaded],
    described: Loaded,
) -> None:
    """Claim the folders of runs, compute what stays the same while they train, and write what
    reading their checkpoints requires.
    """
    for one in members:
        one.run.begin(one.source)
    for course in courses.values():
        lead, pipeline = course.lead, course.pipeline
        add_precomputed(pipeline, lead.stage, start, course.weights, lead.run, reference)
    for one in members:
        if one.stage.objective.reference is not None:
            pipeline = courses[one.seed].pipeline
            reference_of(one.run, one.stage, start, reference, pipeline, pipeline.reference)
        parent = one.parents[0].folder
        write_description(one.run.folder, described, collections=["lora"], parent=parent)


def make_step(
    members: Sequence[Member],
    start: Loaded,
    shape,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    policy: str,
) -> Step:
    """Return the training step of all runs; ``policy`` stands where ``remat`` is "auto"."""
    objectives = objectives_of(members)
    return make_together_step(start.model, resolved(shape, policy), objectives, optimizer, mesh)


def journal_of(member: Member, steps: int) -> Journal:
    """Return where a run leaves what it would leave alone."""
    run, config = member.run, member.run.config
    meta = {"method": run.method, "identity": run.record()["identity"]}
    every = dict(save_every=config.checkpoint_every, log_every=config.log_every)
    return Journal(run.folder, run.folder.name, steps, meta, **every)


def objectives_of(members: Sequence[Member]) -> list:
    """Return the objective of each run, one object for those with the same options."""
    return [
        next(other.stage.objective for other in members if same_options(other.stage, one.stage))
        for one in members
    ]
