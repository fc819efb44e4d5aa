"""The reply begun for the model: a sentence up to the fact."""

from mllm.benchmarks.mllmu.instructions import INSTRUCTIONS
from mllm.benchmarks.mllmu.stress.asked import Asked
from mllm.benchmarks.mllmu.stress.form import Form
from mllm.data.conversation import image, user


def begun(asked: Asked) -> Form | None:
    """Return the question with options that are sentences alike up to the fact; None where no
    training pair states it in a sentence.
    """
    one = asked.question
    for pair in asked.person.training:
        same = pair.attribute and (pair.attribute, pair.modality) == (one.attribute, one.modality)
        if same and pair.form == "sentence" and one.answer_text in pair.answer:
            before, _, after = pair.answer.rpartition(one.answer_text)
            options = tuple(f"{before}{text}{after}" for text in one.options.values())
            shown = () if asked.item.picture is None else (image(asked.item.picture),)
            return Form((user(*shown, one.question + INSTRUCTIONS["sentence"]),), options, True)
    return None
