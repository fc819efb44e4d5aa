"""Train the stages of a study, each from its parent's weights into a run's folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.features import FOLDER
from mllm.checkpoints.folder import combine, load_model, write_description
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.parents import has_parent
from mllm.data.conversation import Example
from mllm.data.pipeline import Pipeline
from mllm.data.singles import Singles
from mllm.evaluation.looking import made_as
from mllm.parallel.launch import require_same
from mllm.parallel.place import place_rows
from mllm.studies.beginning import as_start, changed, renewed
from mllm.studies.edited import before_edit, edited
from mllm.studies.examples import examples_of, make_pipeline
from mllm.studies.hearing import kept_sounds
from mllm.studies.identity import identity, made_from
from mllm.studies.lock import hold
from mllm.studies.precomputed import kept_logprobs, made_of_pictures
from mllm.studies.pruning import prune_stage
from mllm.studies.run import Run
from mllm.studies.saliency import salient_weights
from mllm.studies.stage import PARENT, Stage, Stages, find, folder_name, seed_of
from mllm.studies.start import (
    device_mesh,
    fresh_model,
    import_pretrained,
    imported_by,
    keep_beginning,
    pass_on,
)
from mllm.studies.system import System
from mllm.studies.weights import Weights, divide
from mllm.training import optimizers, state
from mllm.training.compiled import COMPILED
from mllm.training.diverged import Diverged
from mllm.training.loop import train
from mllm.training.progress import tell
from mllm.training.remat import choose, is_auto, memory_of_device, resolved
from mllm.training.step import Step, make_train_step


def ensure(
    name: str, config, workdir: Path, system: System, benchmark, *, folder: Path | None = None
) -> Run:
    """Return the finished run of a stage, trained now if it is not there; what it starts from comes
    first, then what its evaluation asks besides it, and a stopped run continues.

    Args:
      workdir: folder of the study; runs are folders in it.
      folder: of this run, if it is not the one that the graph names.

    Raises:
      Diverged: the loss of this run, or of one that it needs, is not finite. Its record says so,
        and it is not trained again.
    """
    stages = system.stages(config)
    stage = find(stages, name)
    labels = {**system.labels(config), "split": system.part(config)}
    run = Run(folder or workdir / folder_name(stages, name), name, config, labels)
    parents = [ensure(other, config, workdir, system, benchmark) for other in stage.parents]
    for other in stage.asks_of_others:
        ensure(other, config, workdir, system, benchmark)
    digests = {parent.method: parent.record()["checkpoint_digest"] for parent in parents}
    read_with = {parent.method: parent.processor_digest() for parent in parents}
    read_with = {name: found for name, found in read_with.items() if found}
    files = imported_by(stage, config)
    source = made_from(stage, config, benchmark.fingerprint, digests, files, read_with)

    def done() -> bool:
        # An import of the same files is made again where they are now.
        return run.finished(source) and (files is None or has_parent(run.folder))

    if not done():
        with hold(run.folder):
            if not done():  # nobody has made it in the meantime
                try:
                    make(run, stages, parents, source, benchmark)
                except Diverged as error:
                    run.give_up(error)
                    raise
    return run


def make(
    run: Run, stages: Stages, parents: list[Run], source: Mapping[str, Any], benchmark
) -> None:
    """Make a run of a study that is not finished.

    Args:
      parents: finished runs of ``Stage.parents``. source: what it is made from.
    """
    stage, config, begin = find(stages, run.method), run.config, partial(run.begin, source)
    if stage.answerer is not None:
        begin()
        above = f"../{parents[0].folder.name}" if parents else None
        run.write("finished", checkpoint_digest=identity(source), parent=above, cost={})
        return
    if stage.schedule is None:
        name = stage.pretrained or config.pretrained
        import_pretrained(run, name, begin, own_format=stage.own_format)
        return
    mesh = device_mesh(config)
    models = [load_model(parent.folder, mesh=mesh) for parent in parents[: len(stage.loads)]]
    start = models[0] if stage.parent else fresh_model(config, benchmark, mesh, stage.model)
    seed = seed_of(stages, run.method, config.seed)
    start = renewed(changed(start, stage), stage, seed, mesh)
    above = parents[0].folder if stage.parent else None
    source = examples_of(stage, config, benchmark, parents)
    if stage.prunes and source:
        prune_stage(run, stage, start, source, parent=above, seed=seed, begin=begin)
        return
    train_stage(
        run, stage, start, source, parent=above, reference=models[1:], seed=seed, begin=begin
    )


def train_stage(
    run: Run,
    stage: Stage,
    start: Loaded,
    source: Sequence[Example],
    *,
    parent: Path | None,
    reference: list[Loaded],
    seed: int,
    begin: Callable[[], None],
) -> None:
    """Train a stage into its run's folder, from the last checkpoint there if there is one.

    Args:
      start: the model that it starts from. source: what it learns from.
      parent: the folder of the model that it starts from, None if that is new.
      reference: the model of the objective's reference, if that is not ``start``.
      seed: of the draws of rows and views.
      begin: claims the folder, once the inputs have been looked at.
    """
    schedule, objective, compiled = stage.schedule, stage.objective, COMPILED.counts()
    if not source and stage.fresh:
        raise ValueError(
            f"{run.method} has no examples, so {list(stage.fresh)}, drawn anew, would not train"
        )
    if not source:
        prompted = objective.system_prompt or start.system_prompt
        pass_on(run, replace(start, system_prompt=prompted), parent, begin)
        return
    mesh = device_mesh(run.config)
    start = as_start(start, schedule, mesh)
    pipeline = make_pipeline(run.config, schedule, start, source, objective, seed)
    weights = divide(start, schedule.trainable, run.config, mesh)
    frozen = {**weights.frozen, **reference_weights(stage, start)}
    steps = pipeline.steps(schedule.epochs)  # packs all rows: an example that none holds is found
    optimizer, rate = make_optimizer(schedule), make_rate(schedule, steps)
    before = before_edit(objective, weights.trainable)
    first = state.create(weights.trainable, optimizer, mesh, rate, objective.numbers)
    make = partial(make_step, run.config, stage, start, weights, optimizer, mesh)
    step = make()
    begin()
    rest = keep_beginning(run.folder, start) if parent is None and weights.frozen else parent
    add_precomputed(pipeline, stage, start, weights, run, reference)
    frozen |= salient_weights(objective, start, weights, pipeline, run)
    if is_auto(step_config(run.config, start, weights)):
        step = make(policy=chosen_policy(run, make, first, frozen, pipeline, mesh))
    described = replace(start, variables={}, lora=weights.lora)
    write_description(
        run.folder,
        described,
        collections=sorted(weights.trainable),
        parts=weights.parts,
        parent=rest,
    )
    meta = {"method": run.method, "identity": run.record()["identity"]}
    done = train(
        step,
        first,
        frozen,
        pipeline.batch_at,
        steps=steps,
        folder=run.folder,
        name=run.method,
        meta=meta,
        save_every=run.config.checkpoint_every,
        log_every=run.config.log_every,
    )
    if before is not None:
        done = edited(objective, before, done, steps=steps, folder=run.folder, meta=meta)
    trained = replace(described, variables=combine(frozen, done.trainable))
    finish(run, trained, done.trainable, parent, COMPILED.counts(since=compiled))


def reference_weights(stage: Stage, start: Loaded) -> dict:
    """Return {"reference": variables} to compare with weights that themselves train, else {}.

    An adapter needs none: the weights without it are the reference.
    """
    if not stage.objective.compares or stage.schedule.trainable == "lora":
        return {}
    return {"reference": jax.tree.map(jnp.copy, start.variables)}


def add_precomputed(
    pipeline: Pipeline | Singles,
    stage: Stage,
    start: Loaded,
    weights: Weights,
    run: Run,
    reference: list[Loaded],
) -> None:
    """Compute what stays the same while the run trains: the log-probabilities of the reference, and
    what frozen towers make of the pictures and sounds, and spectrograms for an encoder that trains.
    For single media there is neither.
    """
    if isinstance(pipeline, Singles):
        return
    if stage.objective.reference is not None:
        pipeline.reference = reference_of(run, stage, start, reference, pipeline)
    instructed = start.processor.config.instructed
    if weights.encoders_stay if instructed else weights.media_stay:
        made = made_of_pictures(start, pipeline, run.folder.parent / FOLDER)
        if made is not None:
            pipeline.pictures.made, pipeline.pictures.made_as = made, made_as(start.model)
    if not instructed:
        pipeline.sounds = kept_sounds(start, pipeline, weights, stage.schedule.epochs)


def reference_of(
    run: Run,
    stage: Stage,
    start: Loaded,
    reference: list[Loaded],
    pipeline: Pipeline,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Return the log-probabilities of the reference, kept in the run's folder.

    Args:
      known: the values, where a run trained with this one has them.
    """
    objective = stage.objective
    model = start if objective.reference == PARENT else reference[0]
    # The identity holds data, weights and processors of all that a run starts from.
    depends_on = run.record()["identity"]
    roles = [role for role in (objective.primary, objective.twin) if role]
    return kept_logprobs(run.folder, model, pipeline, roles, depends_on, known=known)


def make_optimizer(schedule) -> optax.GradientTransformation:
    """Return the optimizer of a schedule, whose numbers are data of its state (``make_rate``): runs
    that differ in nothing else get the same one, and with it the same programs.
    """
    return _optimizer(
        schedule.optimizer,
        schedule.decay,
        b2=schedule.b2,
        weight_decay=schedule.weight_decay,
        clip=schedule.clip,
    )


@lru_cache(maxsize=16)
def _optimizer(name: str, decay: str, **options) -> optax.GradientTransformation:
    return optimizers.make_optimizer(name, optimizers.Schedule(1.0, 1, decay=decay), **options)


def make_rate(schedule, steps: int) -> optimizers.Schedule:
    """Return the learning rates of a schedule over so many steps."""
    return optimizers.Schedule(schedule.learning_rate, steps, schedule.warmup, schedule.decay)


def make_step(
    config,
    stage: Stage,
    start: Loaded,
    weights: Weights,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    policy: str = "nothing",
) -> Step:
    """Return the training step of a stage; ``policy`` stands where ``remat`` is "auto"."""
    drops = weights.lora is not None and weights.lora["dropout"]
    shape = resolved(step_config(config, start, weights), policy)
    seed, parts = config.seed + 2 if drops else None, stage.schedule.accumulation
    return _step(start.model, shape, stage.objective, optimizer, mesh, seed, parts)


@lru_cache(maxsize=16)
def _step(model, shape, objective, optimizer, mesh: Mesh, seed: int | None, parts: int) -> Step:
    """Return a training step: runs that differ only in their data share it and its programs."""
    key = None if seed is None else jax.random.key(seed)
    return make_train_step(
        model, shape, objective, optimizer, mesh=mesh, key=key, accumulation=parts
    )


def step_config(config, start: Loaded, weights: Weights):
    """Return the model's configuration as its training step takes it."""
    shape = start.config
    if config.pretrained and config.model.get("remat"):  # a Hugging Face folder names no policy
        shape = replace(shape, decoder=replace(shape.decoder, remat=config.model.remat))
    if weights.lora is not None and weights.lora["dropout"]:
        shape = _dropping(shape, weights.lora["dropout"])
    return shape


def chosen_policy(
    run: Run,
    make: Callable[..., Step],
    first: state.TrainState,
    frozen: dict,
    pipeline: Pipeline,
    mesh: Mesh,
) -> str:
    """Return the fastest policy with which the step of the largest batch fits, and write it into
    run.json; a run that continues on devices of the same memory keeps its own.

    Args:
      make: builds the step with a ``policy``.
      first, frozen: what the step is called with.
    """
    memory = memory_of_device(mesh.local_devices[0])
    known = run.record().get("remat", {})
    if known.get("memory") == memory:
        return known["policy"]
    batch = place_rows(largest_batch(pipeline), mesh)
    choice = choose(lambda p: make(policy=p).lower(first, frozen, batch).compile(), memory)
    require_same(f"{run.method}: the chosen remat", choice.policy)
    tell(f"{run.method}: {choice}")
    run.write("running", remat=asdict(choice))
    return choice.policy


def largest_batch(pipeline: Pipeline | Singles) -> dict:
    """Return the first batch, grown to the whole capacity of its rows."""
    if isinstance(pipeline, Singles):  # whose batches are all alike
        return pipeline.batch_at(0)
    long = dict.fromkeys(("tokens", "positions", "segments", "loss_mask"), pipeline.shape.tokens)
    long |= dict.fromkeys(("targets", "sources"), pipeline.shape.supervised)
    batch = pipeline.batch_at(0)
    grown = {
        name: np.zeros((len(batch[name]), long[name]), batch[name].dtype)
        for name in batch.keys() & long.keys()
    }
    return {**batch, **grown}


def _dropping(config, rate: float):
    """Return a model's configuration, all parts of which drop inputs of their low-rank updates."""
    parts = {field.name: getattr(config, field.name) for field in fields(config)}
    changed = {n: _dropping(part, rate) for n, part in parts.items() if is_dataclass(part)}
    if "lora_dropout" in parts:
        changed["lora_dropout"] = rate
    return replace(config, **changed)


def finish(
    run: Run, trained: Loaded, trainable: dict, parent: Path | None, compiled: dict, **shared: int
) -> None:
    """Write the record of a trained run. Its cost names the memory of a step on a device where the
    compiler was asked for it, and the run was trained alone.

    Args:
      shared: what its cost says besides, of a run that was trained with others.
    """
    count = sum(leaf.size for leaf in jax.tree.leaves(trainable))
    peak = run.record().get("remat", {}).get("peak")
    memory = {"memory": peak} if peak and not shared else {}
    run.write(
        "finished",
        checkpoint_digest=weights_digest(trained.variables),
        parent=None if parent is None else f"../{parent.name}",
        cost={**run.cost(trained, count), **memory, "compile": compiled, **shared},
    )
