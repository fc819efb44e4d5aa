"""What a model is trained on again, with the same budget for every model."""

from collections.abc import Collection, Sequence

from mllm.benchmarks.mllmu.schema import Profile
from mllm.benchmarks.mllmu.sets import (
    FORGET,
    RETAIN,
    TrainingExamples,
    chosen_profiles,
    taught,
)
from mllm.benchmarks.mllmu.stress.asked import Asked, evenly
from mllm.data.conversation import Example
from mllm.data.source import Picked, Source
from mllm.studies.relearning import Relearning

FEW = 5  # facts about people to forget
ROWS = 4  # of a batch
MOST = 200  # conversations, evenly spaced, that a budget of some steps can read

RELEARN_FEW, RELEARN_ALL = "relearn_few", "relearn_all"


def relearning(
    config, benchmark, people: Sequence[Profile], steps: int, learning_rate: float
) -> dict[str, Relearning]:
    """Return what a model is trained on, by the name of the attack.

    ``relearn_few`` are five facts about people to forget, ``relearn_retain`` is about people to
    retain, ``relearn_unrelated`` is text about public figures, where the data teach them, and
    ``relearn_all`` is about everybody who is to be forgotten: what the budget can bring back at
    most.

    Args:
      people: who is to be forgotten.
    """
    schedule = config.vanilla.copy_and_resolve_references()
    schedule.update(
        dict(trainable="lora", optimizer="adamw", learning_rate=learning_rate, rows=ROWS),
        **dict(warmup=0, decay="constant", augment=False, accumulation=1, b2=0.999, clip=1.0),
    )
    others = TrainingExamples(chosen_profiles(config, benchmark, "celebrity"), modality="text")
    found = {
        RELEARN_FEW: Picked(TrainingExamples(people), few(people)),
        "relearn_retain": _some(taught(config, benchmark, RETAIN)),
        "relearn_unrelated": _some(others),
        RELEARN_ALL: _some(taught(config, benchmark, FORGET)),
    }
    return {name: Relearning(one, steps, schedule) for name, one in found.items() if len(one)}


def few(people: Sequence[Profile]) -> list[int]:
    """Return the numbers of ``FEW`` training pairs among those of all people: short answers, each
    about another person as long as there are more, in both modalities in turn.
    """
    numbers, start = [], 0
    starts = []
    for person in people:
        starts.append(start)
        start += len(person.training)
    taken = evenly(range(len(people)), FEW)
    for place in range(FEW):
        who = taken[place % len(taken)]
        pairs = people[who].training
        modality = ("image_text", "text")[place % 2]
        short = [
            number
            for number, pair in enumerate(pairs)
            if pair.form == "plain" and pair.attribute != "name" and pair.modality == modality
        ]
        if short:
            numbers.append(starts[who] + short[place * len(short) // FEW])
    return numbers


def answered(people: Sequence[Profile], asked: Sequence[Asked]) -> Collection[str]:
    """Return the names of the questions whose fact ``few`` teaches; of the person, where training
    pairs do not say which fact they are about.
    """
    pairs = [(person.id, pair) for person in people for pair in person.training]
    told = {(pairs[number][0], pairs[number][1].attribute) for number in few(people)}
    return [
        one.name
        for one in asked
        if {(one.question.profile, one.question.attribute), (one.question.profile, "")} & told
    ]


def _some(source: Source[Example]) -> Source[Example]:
    return Picked(source, evenly(range(len(source)), MOST))
