"""The stages of a study, each from a configuration to a run's folder: teach, unlearn, import."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from experiments.precomputed import kept_logprobs, picture_media
from experiments.runs import Run
from mllm.benchmarks import get_benchmark
from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.folder import combine, load_model, save_model, write_description
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.pretrained import PRETRAINED
from mllm.data.images import decode
from mllm.data.packing import Example, RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor, ProcessorConfig, read_tokenizer
from mllm.data.prompts import INSTRUCTIONS
from mllm.models import MODELS, config_from_dict
from mllm.ops.lora import init_lora, merge_lora
from mllm.parallel.mesh import make_mesh
from mllm.parallel.place import make_on, place
from mllm.registry import lookup
from mllm.training import optimizers, state
from mllm.training.compiled import COMPILED
from mllm.training.loop import train
from mllm.training.step import make_train_step
from mllm.unlearning import get_objective

TAUGHT = ("base", "vanilla", "retain_only")


def open_benchmark(config):
    """The prepared benchmark of a configuration."""
    chosen = config.benchmark
    return get_benchmark(chosen.name).Benchmark.open(chosen.data_dir, chosen.config)


def device_mesh(config) -> Mesh:
    """The mesh of all devices of all processes, in the shape of ``config.mesh``."""
    return make_mesh(**config.mesh)


def parent_name(method: str, config) -> str | None:
    """The run whose weights a method starts from; base starts from published weights or none."""
    if method == "base":
        return "pretrained" if config.pretrained else None
    return {"pretrained": None, "vanilla": "base", "retain_only": "base"}.get(method, "vanilla")


def chosen_profiles(config, benchmark, group: str) -> list:
    """Profiles of a group: "forget", "retain", "celebrity" or "captions".

    While tuning, the validation profiles are what is forgotten and all others are retained.
    ``config.benchmark.limit`` takes the first few of a group, for a model too slow for all.
    """
    forget = config.benchmark.forget
    split = {
        "forget": "validation" if config.tuning else f"forget_{forget}",
        "retain": "full" if config.tuning else f"retain_{100 - forget}",
    }.get(group, group)
    if group == "captions" and split not in benchmark.splits:
        return []
    return benchmark.profiles(split)[: config.benchmark.limit[group] or None]


def evaluation_sets(config, benchmark) -> dict[str, list]:
    """Profiles of the four sets; while tuning there is no test set, nor any reported forget set."""
    groups = ("forget", "retain", "celebrity")
    sets = {group: chosen_profiles(config, benchmark, group) for group in groups}
    if not config.tuning:
        ids = {profile.id for profile in sets["forget"]}
        sets["test"] = [p for p in benchmark.profiles("test") if p.id in ids]
    return sets


def fresh_model(config, benchmark, mesh: Mesh) -> Loaded:
    """A model of random weights with the benchmark's tokenizer."""
    family, shape = config_from_dict(config.model.to_dict(), "config.model")
    processor = Processor(
        ProcessorConfig(**config.processor, image_tokens=shape.image_tokens),
        read_tokenizer(benchmark.tokenizer_path),
    )
    variables = make_on(mesh, partial(MODELS[family].init, shape), jax.random.key(config.seed))
    return Loaded(family, shape, variables, processor)


def import_pretrained(run: Run) -> None:
    """The start of the study's base: weights of packages, assembled into a model folder, or a
    folder that is there, to which the run points.

    Raises:
      FileNotFoundError: config.pretrained names neither.
    """
    name, model = run.config.pretrained, run.config.model.to_dict()
    mesh, folder = device_mesh(run.config), Path(name)
    if name in PRETRAINED:
        loaded = PRETRAINED[name](model, run.config.processor.to_dict(), run.config.seed)
        loaded = replace(loaded, variables=place(loaded.variables, mesh))
        save_model(run.folder, loaded)
    elif folder.is_dir():
        dtype = model.get("dtype")
        loaded = load_model(folder, dtype=dtype, mesh=mesh)
        described = replace(loaded, variables={}, lora=None)
        write_description(run.folder, described, collections=[], parent=folder, dtype=dtype)
    else:
        raise FileNotFoundError(
            f"config.pretrained is {name!r}: no such folder, and none of {', '.join(PRETRAINED)}"
        )
    run.write(
        "finished", checkpoint_digest=loaded.digest(), parent=None, cost=_cost(run, loaded, 0)
    )


def make_examples(
    loaded: Loaded, stage, remembered: Iterable, forgotten: Iterable = ()
) -> tuple[list[Example], list]:
    """Training pairs of profiles, tokenised, and their pictures: as the processor makes them, or
    decoded images where the stage trains on views of them (``stage.augment``).
    """
    processor, examples, pictures = loaded.processor, [], []
    if stage.split is not None:
        shown = replace(processor.config, split=stage.split)
        processor = Processor(shown, processor.tokenizer)
    size = 2 * processor.config.image_size  # twice the view: small enough to be quick
    for profiles, forget in ((remembered, False), (forgotten, True)):
        for profile in profiles:
            where, grid = f"profile {profile.id}", (0, 0)
            if stage.augment:
                image = decode(profile.images[0], where, processor.config.alpha)
                pictures.append(image.resize((size, size)))
            else:
                pictures.append(processor.picture(profile.images[0], where))
                grid = pictures[-1].grid
            for pair in profile.training:
                shown = pair.modality == "image_text"
                question = pair.question + INSTRUCTIONS[pair.form]
                prefix, suffix = processor.prompt(question, [grid] if shown else [])
                answer = processor.answer(pair.answer, ended=stage.end_token)
                image = len(pictures) - 1 if shown else -1
                parts = (tuple(prefix), tuple(suffix), tuple(answer))
                examples.append(Example(len(examples), image, forget, *parts))
    return examples, pictures


def make_pipeline(config, stage, loaded: Loaded, examples, pictures, schedule: str, seed: int):
    """The batches of a stage."""
    vision = loaded.config.vision
    return Pipeline(
        examples,
        pictures,
        loaded.processor,
        stage.rows,
        RowShape(**config.rows, loss_on=stage.loss_on),
        patch=1 if vision is None else vision.patch_size,
        seed=seed,
        schedule=schedule,
        augmented=stage.augment,
    )


def teach(run: Run, parent: Loaded | None, benchmark) -> None:
    """Teach base, vanilla or retain_only: likelihood of the answers of its profiles."""
    config = run.config
    stage = config.base if run.method == "base" else config.vanilla
    if run.method == "retain_only" and config.retain_only_epochs is not None:
        stage = stage.copy_and_resolve_references()
        stage.epochs = config.retain_only_epochs
    celebrities = chosen_profiles(config, benchmark, "celebrity")
    if run.method == "base":
        # Published weights know the public figures already; what they lack is sight.
        profiles = [] if config.pretrained else celebrities
        profiles = profiles + chosen_profiles(config, benchmark, "captions")
    else:
        profiles = chosen_profiles(config, benchmark, "retain")
        if run.method == "vanilla":
            profiles = profiles + chosen_profiles(config, benchmark, "forget")
        profiles = profiles + (celebrities if config.replay else [])
    start = parent or fresh_model(config, benchmark, device_mesh(config))
    examples, pictures = make_examples(start, stage, profiles) if stage.epochs else ([], [])
    if not examples:  # published data has nothing to align a pretrained model on
        _pass_on(run, start)
        return
    seed = 10 * config.seed + TAUGHT.index(run.method)
    pipeline = make_pipeline(config, stage, start, examples, pictures, "all", seed)
    _train(run, stage, start, get_objective("nll"), pipeline, {})


def unlearn(run: Run, parent: Loaded, retain_only: Loaded | None, benchmark) -> None:
    """Unlearn the forget split from the parent by the run's method."""
    config = run.config
    stage = config.methods[run.method]
    objective = get_objective(run.method, **stage.options)
    if objective.loss is None:
        _pass_on(run, replace(parent, system_prompt=objective.system_prompt))
        return
    merged = place(merge_lora(parent.variables), device_mesh(config))
    parent = replace(parent, variables=merged, lora=None)
    examples, pictures = make_examples(
        parent,
        stage,
        chosen_profiles(config, benchmark, "retain"),
        chosen_profiles(config, benchmark, "forget"),
    )
    seed = 10 * config.seed + len(TAUGHT)
    pipeline = make_pipeline(config, stage, parent, examples, pictures, objective.rows, seed)
    frozen = {}
    if "divergence" in objective.needs:
        if stage.trainable != "lora":  # the weights that train cannot be their own reference
            frozen = {"reference": jax.tree.map(jnp.copy, parent.variables)}
    elif objective.reference is not None:
        reference = parent if objective.reference == "parent" else retain_only
        # The identity holds data, weights and processors of all that a run starts from.
        identity = run.record()["identity"]
        pipeline.reference = kept_logprobs(run.folder, reference, pipeline, identity)
    _train(run, stage, parent, objective, pipeline, frozen)


def _pass_on(run: Run, parent: Loaded) -> None:
    """Finish a run that trains nothing: its folder points at its parent's weights.

    Raises:
      ValueError: there is no parent to point at.
    """
    above = parent_name(run.method, run.config)
    if above is None:
        raise ValueError(
            f"{run.method} has no training pairs or no epochs, and no weights to start from: set "
            "config.pretrained, or use a benchmark with captions and celebrities to learn from"
        )
    described = replace(parent, variables={}, lora=None)
    source = Run(run.folder.parent / above, above, run.config)
    write_description(run.folder, described, collections=[], parent=source.folder)
    passed = source.record()["checkpoint_digest"]  # known: not hashed again
    cost = _cost(run, parent, 0)
    run.write("finished", checkpoint_digest=passed, parent=f"../{above}", cost=cost)


def _train(run: Run, stage, start: Loaded, objective, pipeline: Pipeline, frozen: dict) -> None:
    config, compiled = run.config, COMPILED.told()
    steps = pipeline.steps(stage.epochs)
    schedule = optimizers.Schedule(stage.learning_rate, steps, stage.warmup, stage.decay)
    optimizer = optimizers.make_optimizer(
        stage.optimizer, schedule, b2=stage.b2, weight_decay=stage.weight_decay, clip=stage.clip
    )
    mesh, shape, key = device_mesh(config), start.config, None
    if config.pretrained and config.model.get("remat"):  # a Hugging Face folder names no policy
        shape = replace(shape, decoder=replace(shape.decoder, remat=config.model.remat))
    params, lora, parts = place(merge_lora(start.variables), mesh)["params"], None, None
    if stage.trainable == "lora":
        lora = config.lora.to_dict()
        if lora["dropout"]:
            shape, key = _dropping(shape, lora["dropout"]), jax.random.key(config.seed + 2)
        trainable = make_on(mesh, partial(_adapter, params, lora), jax.random.key(config.seed + 1))
        frozen = {"params": params, **frozen}
    elif stage.trainable == "params":
        trainable = {"params": params}
    else:
        part = lookup(params, stage.trainable, "trainable ('params', 'lora' or a part of it):")
        trainable, parts = {"params": {stage.trainable: part}}, [stage.trainable]
        rest = {name: tree for name, tree in params.items() if name != stage.trainable}
        frozen = {"params": rest, **frozen}
    if _frozen_tower(trainable) and pipeline.pictures and not stage.augment:
        pipeline.media = picture_media(replace(start, variables={"params": params}), pipeline)
    described = replace(start, variables={}, lora=lora)
    above = parent_name(run.method, config)
    write_description(
        run.folder,
        described,
        collections=sorted(trainable),
        parts=parts,
        parent=None if above is None else run.folder.parent / above,
    )
    step = make_train_step(
        start.model,
        shape,
        objective,
        optimizer,
        mesh=mesh,
        key=key,
        accumulation=stage.accumulation,
    )
    done = train(
        step,
        state.create(trainable, optimizer, mesh),
        frozen,
        pipeline.batch_at,
        steps=steps,
        folder=run.folder,
        name=run.method,
        meta={"method": run.method, "identity": run.record()["identity"]},
        save_every=config.checkpoint_every,
        log_every=config.log_every,
    )
    variables = combine(frozen, done.trainable)
    whole = replace(start, variables=variables, lora=lora)
    count = sum(leaf.size for leaf in jax.tree.leaves(done.trainable))
    run.write(
        "finished",
        checkpoint_digest=weights_digest(variables),
        parent=None if above is None else f"../{above}",
        cost={**_cost(run, whole, count), "compile": COMPILED.told(since=compiled)},
    )


def _frozen_tower(trainable: dict) -> bool:
    """Whether nothing before the decoder trains: its image tokens stay what they are."""
    return all(set(tree) == {"decoder"} for tree in trainable.values())


def _adapter(params: dict, lora: dict, key: jax.Array) -> dict:
    """The collection of a fresh adapter of ``config.lora``."""
    return {"lora": init_lora(params, key, rank=lora["rank"], targets=lora["targets"])}


def _dropping(config, rate: float):
    """A model's configuration, all parts of which drop inputs of their low-rank updates."""
    parts = {field.name: getattr(config, field.name) for field in fields(config)}
    changed = {n: _dropping(part, rate) for n, part in parts.items() if is_dataclass(part)}
    if "lora_dropout" in parts:
        changed["lora_dropout"] = rate
    return replace(config, **changed)


def _cost(run: Run, loaded: Loaded, trainable: int) -> dict:
    parameters = sum(leaf.size for leaf in jax.tree.leaves(loaded.variables["params"]))
    return {**run.cost(), "parameters": parameters, "trainable": trainable}
