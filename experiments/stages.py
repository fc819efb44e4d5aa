"""The stages of a study, each from a configuration to a run's folder: teach, unlearn, evaluate."""

from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.runs import Run
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.folder import Loaded, load_model, write_description
from mllm.data.images import decode
from mllm.data.packing import Example, RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor, ProcessorConfig, read_tokenizer
from mllm.data.prompts import INSTRUCTIONS
from mllm.models import MODELS, config_from_dict
from mllm.ops.lora import init_lora, merge_lora
from mllm.ops.segments import segment_sums
from mllm.training import optimizers, state
from mllm.training.loop import train
from mllm.training.step import make_train_step, packed_logprobs
from mllm.unlearning import get_objective


def open_benchmark(config):
    """The prepared benchmark of a configuration."""
    chosen = config.benchmark
    return get_benchmark(chosen.name).Benchmark.open(chosen.data_dir, chosen.config)


def fresh_model(config, benchmark) -> Loaded:
    """A model of random weights with the benchmark's tokenizer."""
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    processor = Processor(
        ProcessorConfig(**config.processor, image_tokens=shape.image_tokens),
        read_tokenizer(benchmark.tokenizer_path),
    )
    variables = MODELS[family].init(shape, jax.random.key(config.seed))
    return Loaded(family, shape, variables, processor)


def make_examples(
    loaded: Loaded, remembered: Iterable, forgotten: Iterable = ()
) -> tuple[list[Example], list]:
    """Training pairs of profiles, tokenised, and their decoded pictures."""
    examples, pictures = [], []
    for profiles, forget in ((remembered, False), (forgotten, True)):
        for profile in profiles:
            pictures.append(decode(profile.images[0], f"profile {profile.id}"))
            for pair in profile.training:
                shown = pair.modality == "image_text"
                question = pair.question + INSTRUCTIONS[pair.form]
                prefix, suffix = loaded.processor.prompt(question, shown)
                answer = loaded.processor.answer(pair.answer)
                image = len(pictures) - 1 if shown else -1
                parts = (tuple(prefix), tuple(suffix), tuple(answer))
                examples.append(Example(len(examples), image, forget, *parts))
    return examples, pictures


def make_pipeline(config, stage, loaded: Loaded, examples, pictures, schedule: str, seed: int):
    """The batches of a stage."""
    size = loaded.processor.config.image_size
    if stage.augment:  # views are drawn from pictures of twice the size: small enough to be quick
        pictures = [picture.resize((2 * size, 2 * size)) for picture in pictures]
    return Pipeline(
        examples,
        pictures,
        size,
        loaded.processor.image_id,
        stage.rows,
        RowShape(**config.rows, loss_on=stage.loss_on),
        seed=seed,
        schedule=schedule,
        augmented=stage.augment,
    )


def teach(run: Run, parent: Loaded | None, benchmark) -> None:
    """Teach base, vanilla or retain_only: likelihood of the answers of its profiles."""
    config = run.config
    stage = config.base if run.method == "base" else config.vanilla
    celebrities = benchmark.profiles("celebrity")
    if run.method == "base":
        profiles = celebrities + optional(benchmark, "captions")
    else:
        profiles = remembered(config, benchmark, everyone=run.method == "vanilla")
        profiles = profiles + (celebrities if config.replay else [])
    start = parent or fresh_model(config, benchmark)
    examples, pictures = make_examples(start, profiles)
    seed = 10 * config.seed + ("base", "vanilla", "retain_only").index(run.method)
    pipeline = make_pipeline(config, stage, start, examples, pictures, "all", seed)
    _train(run, stage, start, get_objective("nll"), pipeline, frozen={})


def unlearn(run: Run, parent: Loaded, retain_only: Loaded | None, benchmark) -> None:
    """Unlearn the forget split from the parent by the run's method."""
    config = run.config
    stage = config.methods[run.method]
    objective = get_objective(run.method, **stage.options)
    if objective.loss is None:
        folder = run.folder.parent / "vanilla"
        prompted = Loaded(
            parent.family, parent.config, {}, parent.processor, objective.system_prompt
        )
        write_description(run.folder, prompted, collections=[], parent=folder)
        run.write(
            "finished",
            checkpoint_digest=parent.digest(),
            parent="../vanilla",
            cost=_cost(run, parent, 0),
        )
        return
    parent = Loaded(parent.family, parent.config, merge_lora(parent.variables), parent.processor)
    forgotten = forget_profiles(config, benchmark)
    examples, pictures = make_examples(
        parent, remembered(config, benchmark, everyone=False), forgotten
    )
    pipeline = make_pipeline(
        config, stage, parent, examples, pictures, objective.rows, 10 * config.seed + 5
    )
    frozen = {}
    if "divergence" in objective.needs and stage.trainable == "params":
        frozen = {"reference": jax.tree.map(jnp.copy, parent.variables)}
    if objective.reference is not None and "divergence" not in objective.needs:
        reference = parent if objective.reference == "parent" else retain_only
        pipeline.reference = reference_logprobs(reference, pipeline)
    _train(run, stage, parent, objective, pipeline, frozen)


def reference_logprobs(reference: Loaded, pipeline: Pipeline) -> np.ndarray:
    """float32[examples]: summed log-probability of each answer to forget, computed once."""

    @jax.jit
    def sums(variables, batch):
        values = packed_logprobs(reference.model, reference.config, variables, batch)
        return segment_sums(values, batch["segments"], batch["answers"].shape[1])

    found = np.zeros(len(pipeline.examples), np.float32)
    forget_only = Pipeline(
        pipeline.examples,
        pipeline.images,
        pipeline.image_size,
        pipeline.image_id,
        pipeline.rows,
        pipeline.shape,
        schedule="forget",
    )
    for rows in forget_only.epoch(0):
        batch = forget_only.batch(rows, np.random.default_rng(0))
        values = np.asarray(sums(reference.variables, batch))
        known = batch["answers"] >= 0
        found[batch["answers"][known]] = values[known]
    return found


def _train(run: Run, stage, start: Loaded, objective, pipeline: Pipeline, frozen: dict) -> None:
    config = run.config
    steps = pipeline.steps(stage.epochs)
    schedule = optimizers.make_schedule(
        peak=stage.learning_rate, steps=steps, warmup=stage.warmup, decay=stage.decay
    )
    optimizer = optimizers.make_optimizer(
        schedule, b2=stage.b2, weight_decay=stage.weight_decay, clip=stage.clip
    )
    lora = None
    if stage.trainable == "lora":
        lora = config.lora.to_dict()
        start_params = merge_lora(start.variables)["params"]
        adapter = init_lora(start_params, jax.random.key(config.seed + 1), **lora)
        trainable, frozen = {"lora": adapter}, {"params": start_params, **frozen}
    elif stage.trainable == "params":
        trainable = {"params": merge_lora(start.variables)["params"]}
    else:
        raise ValueError(f"trainable is {stage.trainable!r}, expected 'params' or 'lora'")
    described = Loaded(start.family, start.config, {}, start.processor, lora=lora)
    parent = None if run.method == "base" else run.folder.parent / parent_name(run.method)
    write_description(run.folder, described, collections=[stage.trainable], parent=parent)
    step = make_train_step(start.model, start.config, objective, optimizer, schedule)
    done = train(
        step,
        state.create(trainable, optimizer),
        frozen,
        pipeline.from_step,
        steps=steps,
        folder=run.folder,
        name=run.method,
        meta={"method": run.method, "identity": run.record().get("identity")},
        save_every=config.checkpoint_every,
        log_every=config.log_every,
    )
    variables = {k: v for k, v in frozen.items() if k != "reference"} | done.trainable
    whole = Loaded(start.family, start.config, variables, start.processor)
    count = sum(leaf.size for leaf in jax.tree.leaves(done.trainable))
    run.write(
        "finished",
        checkpoint_digest=weights_digest(variables),
        parent=None if parent is None else f"../{parent.name}",
        cost=_cost(run, whole, count),
    )


def _cost(run: Run, loaded: Loaded, trainable: int) -> dict:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(loaded.variables.get("params", {})))
    return {**run.cost(), "parameters": parameters, "trainable": trainable}


def parent_name(method: str) -> str | None:
    """The run whose weights a method starts from."""
    return {"base": None, "vanilla": "base", "retain_only": "base"}.get(method, "vanilla")


def optional(benchmark, split: str) -> list:
    """Profiles of a split that not every source has."""
    return benchmark.profiles(split) if split in benchmark.splits else []


def forget_profiles(config, benchmark) -> list:
    """What is to be unlearned: the forget split, or the validation profiles while tuning."""
    split = "validation" if config.tuning else f"forget_{config.benchmark.forget}"
    return benchmark.profiles(split)


def remembered(config, benchmark, *, everyone: bool) -> list:
    """Fictitious profiles: everyone that is taught, or those that are to be kept."""
    if config.tuning:
        full = benchmark.profiles("full")
        return full + benchmark.profiles("validation") if everyone else full
    return benchmark.profiles("full" if everyone else f"retain_{100 - config.benchmark.forget}")


def evaluation_sets(config, benchmark) -> dict[str, list]:
    """Profiles of the four sets; while tuning only validation and celebrities, never a reported
    set.
    """
    if config.tuning:
        sets = {"forget": benchmark.profiles("validation")}
        return {
            **sets,
            "retain": benchmark.profiles("full"),
            "celebrity": benchmark.profiles("celebrity"),
        }
    forgotten = forget_profiles(config, benchmark)
    ids = {profile.id for profile in forgotten}
    return {
        "forget": forgotten,
        "test": [p for p in benchmark.profiles("test") if p.id in ids],
        "retain": benchmark.profiles(f"retain_{100 - config.benchmark.forget}"),
        "celebrity": benchmark.profiles("celebrity"),
    }


def load_run(folder: Path) -> Loaded:
    """The model of a finished run."""
    return load_model(folder)
