"""From conversations to the batches of a stage."""

from collections.abc import Sequence
from dataclasses import replace

from mllm.checkpoints.loaded import Loaded
from mllm.data.conversation import Example
from mllm.data.packing import RowShape
from mllm.data.pictures import Pictures
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor
from mllm.data.singles import Singles
from mllm.data.sound_views import sound_views_named
from mllm.data.sounds import Sounds
from mllm.data.tokenized import tokenize
from mllm.evaluation.kept_answers import answers_to
from mllm.studies.answering import kept_model
from mllm.studies.coded import in_codes
from mllm.studies.run import Run
from mllm.studies.stage import Stage
from mllm.training.objective import Objective


def examples_of(stage: Stage, config, benchmark, parents: Sequence[Run]) -> Sequence[Example]:
    """Return what a stage learns from, or compares neurons on, () if it changes nothing; its
    inquiry is answered first.

    Args:
      parents: finished runs of ``Stage.parents``.
    """
    if not (stage.trains or stage.prunes):
        return ()
    if stage.inquiry is None:
        return stage.examples(benchmark)
    plain = config.copy_and_resolve_references()  # weights follow from models as they were saved
    plain.evaluation.update(weights="", kv="")
    consulted = {run.method: kept_model(run, plain) for run in parents}
    chosen = {name: consulted[name] for name in stage.consults}
    return stage.examples(benchmark, answers_to(stage.inquiry(benchmark), chosen))


def make_pipeline(
    config, schedule, loaded: Loaded, source: Sequence[Example], objective: Objective, seed: int
) -> Pipeline | Singles:
    """Return the batches of a stage, as its objective asks for them.

    Args:
      config: of the study, whose ``rows`` are read. schedule: of the stage.
      source: the conversations; they are read here and again whenever a batch shows their media.
    """
    if objective.rows == "media":
        return Singles(
            source, processor_of(loaded, schedule), schedule.rows, seed, schedule.augment
        )
    source = in_codes(source, loaded)
    vision, rows = loaded.config.vision, config.rows.to_dict()
    for name in ("tokens", "supervised"):
        rows[name] = schedule[f"row_{name}"] or rows[name]
    shape = RowShape(**rows, loss_on=schedule.loss_on)
    processor = processor_of(loaded, schedule)
    limit = min(shape.tokens, loaded.config.decoder.max_positions)
    examples = tokenize(
        source, processor, limit=limit, ended=schedule.end_token, text=schedule.share_text
    )
    pictures = Pictures.of(
        examples,
        source,
        processor,
        patch=1 if vision is None else vision.patch_size,
        augmented=schedule.augment,
    )
    return Pipeline(
        examples,
        source,
        pictures,
        schedule.rows,
        shape,
        seed=seed,
        schedule=objective.rows,
        primary=objective.primary,
        roles=objective.roles,
        twin=objective.twin,
        alike=schedule.alike,
        sounds=Sounds.of(
            examples,
            source,
            processor,
            sound_views_named(schedule.sounds),
            getattr(getattr(loaded.config, "audio", None), "bins", 0),
        ),
    )


def processor_of(loaded: Loaded, schedule) -> Processor:
    """Return the processor that a stage trains with: views of a picture are never split."""
    processor = loaded.processor
    split = False if schedule.augment else schedule.split
    if split in (None, processor.config.split):
        return processor
    return Processor(replace(processor.config, split=split), processor.tokenizer)
