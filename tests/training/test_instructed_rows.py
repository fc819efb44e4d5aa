"""Pictures that are read under instructions change no loss by how their rows are laid out."""

from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_fused, pipeline_of, png

from mllm.data.conversation import Example, assistant, user
from mllm.data.packing import RowShape
from mllm.training.values import packed_logprobs

pytestmark = pytest.mark.thorough

RNG = np.random.default_rng(0)
PICTURES = [
    png(Image.fromarray(RNG.integers(0, 256, (size, 16, 3)).astype(np.uint8))) for size in (16, 9)
]


def example(index: int, *parts, answer: str) -> Example:
    return Example(str(index), "", (user(*parts), assistant(answer)))


SOURCE = [
    example(0, PICTURES[0], "Who is it?", answer="Ada"),
    example(1, PICTURES[0], "Who is it?", answer="Paris"),
    example(2, PICTURES[0], "Where was the person in the picture born?", answer="Ada"),
    example(3, PICTURES[1], "Who is it?", answer="Ada"),
    example(4, "Where was Ada born?", answer="London"),
]


def losses(model, answers: int, rows: int, room: int = 0) -> tuple[dict[int, float], int]:
    """The summed log-probability of each example, and the rows that hold them."""
    pipeline = pipeline_of(SOURCE, model.processor, rows, RowShape(64, 32, answers))
    pipeline.pictures.room = max(pipeline.pictures.room, room)
    compute = jax.jit(partial(packed_logprobs, model.model, model.config))
    found, used = {}, 0
    for step in range(pipeline.steps(1)):
        batch = pipeline.batch_at(step)
        values = np.asarray(compute(model.variables, batch))
        used += int(batch["weight"].sum())
        for row, numbers in enumerate(batch["answers"]):
            for segment, number in enumerate(numbers.tolist()):
                if number >= 0:
                    mine = batch["segments"][row] == segment + 1
                    found[number] = float(values[row][mine].sum())
    return found, used


@pytest.mark.slow
def test_packed_rows_padding_and_room_change_no_loss():
    model = make_fused(2)
    alone, rows = losses(model, answers=1, rows=5)
    assert rows == 5 and len(alone) == 5
    assert abs(alone[0] - alone[2]) > 1e-3 and abs(alone[0] - alone[3]) > 1e-3
    for options in (dict(answers=2, rows=6), dict(answers=1, rows=5, room=96)):
        found, rows = losses(model, **options)
        assert rows == 6 - options["answers"]  # two of them share the picture as they read it
        for number, value in alone.items():
            np.testing.assert_allclose(found[number], value, rtol=1e-5)
