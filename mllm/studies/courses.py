"""What runs that are trained together learn from: rows of their own for each seed, in one shape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from mllm.checkpoints.loaded import Loaded
from mllm.data.alike import alike_batches
from mllm.data.conversation import Example
from mllm.data.pipeline import Pipeline
from mllm.parallel.place import place_rows
from mllm.studies.alike import Member, same_examples, same_options
from mllm.studies.examples import examples_of, make_pipeline
from mllm.studies.train import make_rate
from mllm.studies.weights import Weights, divide
from mllm.training import state
from mllm.training.state import TrainState


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


Courses = Mapping[int, Course]  # by ``Member.seed``


def courses_of(
    members: Sequence[Member], start: Loaded, mesh: Mesh, benchmark
) -> tuple[list[Member], Courses]:
    """Return those runs that can be trained with the first one, and their courses. Others learn
    from other conversations of the same seed, or take another number of steps.
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


def first_states(
    members: Sequence[Member],
    courses: Courses,
    optimizer: optax.GradientTransformation,
    steps: int,
    mesh: Mesh,
) -> list[TrainState]:
    """Return the state of each run before its first update."""
    found = []
    for one in members:
        adapter = jax.tree.map(jnp.copy, courses[one.seed].weights.trainable)
        rate = make_rate(one.stage.schedule, steps)
        found.append(state.create(adapter, optimizer, mesh, rate))
    return found


def draw_of(members: Sequence[Member], courses: Courses, mesh: Mesh) -> Callable:
    """Return what draws the batches of a step, as ``mllm.training.loop.run_steps`` takes it: one
    batch where all runs have the same seed, else one for each run.
    """
    pipelines = [course.pipeline for course in courses.values()]

    def draw(number: int):
        if len(pipelines) == 1:
            batch = pipelines[0].batch_at(number)
            return [batch] * len(members), place_rows(batch, mesh)
        by_seed = dict(zip(courses, alike_batches(pipelines, number), strict=True))
        batches = [by_seed[one.seed] for one in members]
        return batches, [place_rows(batch, mesh) for batch in batches]

    return draw
