"""Train runs of a sweep that are alike as one program, each into a folder of its own."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from mllm.checkpoints.folder import combine, load_model, write_description
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.orbax import set_aside_damaged
from mllm.data.alike import alike_batches
from mllm.data.conversation import Example
from mllm.data.pipeline import Pipeline
from mllm.parallel.place import place_rows
from mllm.studies.alike import Member, member_of, same_examples, same_options
from mllm.studies.beginning import changed
from mllm.studies.examples import examples_of, make_pipeline
from mllm.studies.lock import hold
from mllm.studies.start import device_mesh
from mllm.studies.system import System
from mllm.studies.train import (
    add_precomputed,
    as_start,
    chosen_policy,
    finish,
    make_optimizer,
    make_rate,
    reference_of,
    step_config,
)
from mllm.studies.weights import Weights, divide
from mllm.training import state
from mllm.training.compiled import COMPILED
from mllm.training.journal import Journal
from mllm.training.loop import run_steps
from mllm.training.progress import tell
from mllm.training.remat import is_auto, resolved
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
    if len(members) < 2:
        return
    with contextlib.ExitStack() as held:
        for one in members:
            held.enter_context(hold(one.run.folder))
            for line in set_aside_damaged(one.run.folder / "checkpoints"):
                tell(line)
        # Another command may have made one in the meantime.
        members = [one for one in members if not one.run.finished(one.source)]
        members = [one for one in members if one.done == members[0].done]
        train_members(members, benchmark)


@dataclass(frozen=True)
class Course:
    """What the runs of a seed have in common.

    Attributes:
      lead: the first of them. source, pipeline: what they learn from. weights: an adapter that they
        begin with, and those under it.
    """

    lead: Member
    source: Sequence[Example]
    pipeline: Pipeline
    weights: Weights

    def holds(self, one: Member, benchmark) -> bool:
        """Return whether a run of this seed learns from the same conversations."""
        if same_options(one.stage, self.lead.stage):
            return True
        found = examples_of(one.stage, one.run.config, benchmark, one.parents)
        return same_examples(found, self.source)


def courses_of(
    members: Sequence[Member], start: Loaded, mesh: Mesh, benchmark
) -> tuple[list[Member], dict[int, Course]]:
    """Return those runs that can be trained with the first one, and their courses by seed: others
    learn from other conversations of the same seed, or take another number of steps.
    """
    chosen, courses, steps = [], {}, None
    for one in members:
        if one.seed in courses:
            if courses[one.seed].holds(one, benchmark):
                chosen.append(one)
            continue
        config, schedule = one.run.config, one.stage.schedule
        source = examples_of(one.stage, config, benchmark, one.parents)
        if not source:
            continue
        given = start, source, one.stage.objective, one.seed
        pipeline = make_pipeline(config, schedule, *given)
        steps = steps or pipeline.steps(schedule.epochs)
        if pipeline.steps(schedule.epochs) == steps:
            weights = divide(start, schedule.trainable, config, mesh)
            courses[one.seed] = Course(one, source, pipeline, weights)
            chosen.append(one)
    return chosen, courses


def train_members(members: Sequence[Member], benchmark) -> None:
    """Train runs that are alike, from their last checkpoints; none where only one is left.

    Runs of one seed share rows, pictures, and the passes of the reference.
    """
    lead, compiled = members[0], COMPILED.counts()
    stage, config, mesh = lead.stage, lead.run.config, device_mesh(lead.run.config)
    loads = lead.parents[: len(stage.loads)]
    loaded, *reference = [load_model(parent.folder, mesh=mesh) for parent in loads]
    start = as_start(changed(loaded, stage), stage.schedule, mesh)
    members, courses = courses_of(members, start, mesh, benchmark)
    if len(members) < 2 or getattr(start.config, "balance", 0):
        return
    lead, first = members[0], courses[members[0].seed]
    frozen, steps = first.weights.frozen, first.pipeline.steps(stage.schedule.epochs)
    optimizer = make_optimizer(stage.schedule)
    states = [
        state.create(
            jax.tree.map(jnp.copy, courses[one.seed].weights.trainable),
            optimizer,
            mesh,
            make_rate(one.stage.schedule, steps),
        )
        for one in members
    ]
    names = ", ".join(one.run.folder.name for one in members)
    tell(f"{len(members)} runs are trained together: {names}")
    for one in members:
        one.run.begin(one.source)
    for course in courses.values():
        own = course.pipeline, course.lead.stage, start, course.weights
        add_precomputed(*own, course.lead.run, reference)
    described = replace(start, variables={}, lora=first.weights.lora)
    for one in members:
        if stage.objective.reference is not None:
            pipeline = courses[one.seed].pipeline
            reference_of(one.run, stage, start, reference, pipeline, pipeline.reference)
        parent = one.parents[0].folder
        write_description(one.run.folder, described, collections=["lora"], parent=parent)
    with contextlib.ExitStack() as opened:
        journals = [opened.enter_context(journal_of(one, steps)) for one in members]
        restored = zip(journals, states, strict=True)
        stacked = stack([journal.restored(own) for journal, own in restored], mesh)
        shape = step_config(config, start, first.weights)

        def make(policy: str = "nothing"):
            goals = objectives_of(members)
            return make_together_step(start.model, resolved(shape, policy), goals, optimizer, mesh)

        policy = "nothing"
        if is_auto(shape):
            policy = chosen_policy(lead.run, make, stacked, frozen, first.pipeline, mesh)
            for one in members[1:]:
                one.run.write("running", remat=lead.run.record()["remat"])
        step = make(policy)

        def draw(number: int):
            if len(courses) == 1:
                batch = first.pipeline.batch_at(number)
                return [batch] * len(members), place_rows(batch, mesh)
            found = alike_batches([course.pipeline for course in courses.values()], number)
            by_seed = dict(zip(courses, found, strict=True))
            batches = [by_seed[one.seed] for one in members]
            return batches, [place_rows(batch, mesh) for batch in batches]

        done = run_steps(
            lambda before, batch: step(before, frozen, batch),
            stacked,
            draw,
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
