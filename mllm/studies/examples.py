"""From conversations to the batches of a stage."""

from collections.abc import Iterable
from dataclasses import replace

from mllm.checkpoints.loaded import Loaded
from mllm.data import conversation
from mllm.data.images import decode
from mllm.data.packing import Example, RowShape
from mllm.data.pipeline import Pipeline
from mllm.data.processor import Processor


def make_examples(
    loaded: Loaded, schedule, source: Iterable[conversation.Example]
) -> tuple[list[Example], list]:
    """Return conversations tokenised, and their pictures: as the processor makes them, or decoded
    images where the schedule trains on views of them (``schedule.augment``).
    """
    processor, examples, pictures = loaded.processor, [], []
    numbers: dict[str, int] = {}
    if schedule.split is not None:
        shown = replace(processor.config, split=schedule.split)
        processor = Processor(shown, processor.tokenizer)
    size = 2 * processor.config.image_size  # twice the view: small enough to be quick
    for example in source:
        asked, answered = example.turns
        for medium in asked.media:
            if medium.digest in numbers:
                continue
            numbers[medium.digest] = len(pictures)
            if schedule.augment:
                image = decode(medium.data, example.id, processor.config.alpha)
                pictures.append(image.resize((size, size)))
            else:
                pictures.append(processor.picture(medium.data, example.id))
        image = numbers[asked.media[0].digest] if asked.media else -1
        grids = [] if image < 0 else [(0, 0) if schedule.augment else pictures[image].grid]
        prefix, suffix = processor.prompt(asked.text, grids)
        answer = processor.answer(answered.text, ended=schedule.end_token)
        parts = (tuple(prefix), tuple(suffix), tuple(answer))
        examples.append(Example(len(examples), image, example.role == "forget", *parts))
    return examples, pictures


def make_pipeline(config, schedule, loaded: Loaded, examples, pictures, order: str, seed: int):
    """Return the batches of a stage.

    Args:
      order: in which the rows are drawn, ``Pipeline.schedule``.
    """
    vision = loaded.config.vision
    return Pipeline(
        examples,
        pictures,
        loaded.processor,
        schedule.rows,
        RowShape(**config.rows, loss_on=schedule.loss_on),
        patch=1 if vision is None else vision.patch_size,
        seed=seed,
        schedule=order,
        augmented=schedule.augment,
    )
