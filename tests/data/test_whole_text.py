"""Labels on the whole text, as LTU is trained: the question and the answer, not the sound."""

import numpy as np
from tiny_listener import as_file, sound
from toy import make_listener, pipeline_of

from mllm.data.conversation import Example, assistant, audio, user
from mllm.data.packing import RowShape

SOUNDS = [audio(as_file(sound(0.5, n))) for n in range(2)]
TALKS = [
    (user(SOUNDS[0], "Where was Ada born?"), assistant("London")),
    (user(SOUNDS[1], "Who?"), assistant("Ada")),
    (user("Who?"), assistant("Paris")),
]


def taught(loss_on: str) -> tuple[list[str], list[str]]:
    """What is supervised of each talk, and the texts of the talks."""
    model = make_listener()
    examples = [Example(f"e{n}", f"e{n}", turns) for n, turns in enumerate(TALKS)]
    shape = RowShape(tokens=120, supervised=100, answers=1, loss_on=loss_on)
    pipeline = pipeline_of(examples, model.processor, 3, shape)
    batch, found = pipeline.batch_at(0), {}
    for row, targets in enumerate(batch["targets"]):
        places = targets[targets < batch["tokens"].shape[1]]
        np.testing.assert_array_equal(np.flatnonzero(batch["loss_mask"][row]), places)
        ids = batch["tokens"][row, places]
        assert model.audio_id not in ids
        text = model.processor.tokenizer.decode(ids.tolist(), skip_special_tokens=False)
        found[int(batch["answers"][row, 0])] = text
    return [found[number] for number in range(len(TALKS))]


def test_question_and_answer_are_learned_and_the_sound_is_not():
    whole, answers = taught("all"), taught("answer")
    assert answers == [" London</s>", " Ada</s>", " Paris</s>"]
    assert whole == [
        "\nWhere was Ada born?\nASSISTANT: London</s>",
        "\nWho?\nASSISTANT: Ada</s>",
        "USER: Who?\nASSISTANT: Paris</s>",
    ]
