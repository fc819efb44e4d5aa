"""Clips made up for tests: a small graph of concepts, and sounds that are only their names."""

from types import SimpleNamespace

from mllm.benchmarks.hear.ontology import Concept, Ontology
from mllm.benchmarks.hear.row import Clip
from mllm.data.conversation import audio

# "fog horn" has two parents, "hum" no synonym and no grandparent.
ONTOLOGY = Ontology(
    [
        Concept("animal"),
        Concept("bird", ("animal",)),
        Concept("insect", ("animal",)),
        Concept("machine"),
        Concept("alarm", ("machine",)),
        Concept("vehicle", ("machine",)),
        Concept("grouse", ("bird",), ("moorfowl",), sounds_like="Low thumps.", habitat="On moors."),
        Concept("owl", ("bird",), ("hooter", "night bird")),
        Concept("cricket", ("insect",), ("grig",)),
        Concept("bee", ("insect",), ("honey bee",)),
        Concept("siren", ("alarm",), ("hooting horn",), sounds_like="A long rising tone."),
        Concept("bell", ("alarm",), ("chime",)),
        Concept("fog horn", ("alarm", "vehicle"), ("ship horn",)),
        Concept("car", ("vehicle",), ("motor",)),
        Concept("hum", ("machine",)),
    ]
)
LEAVES = ONTOLOGY.leaves


def toy_clip(split: str, number: int, tags: tuple[str, ...], group: str = "") -> Clip:
    id = f"{split}/{number}"
    sound = audio(f"{id}: {'+'.join(tags)}".encode())
    return Clip(id, group or f"source of {id}", split, tags, sound, 1.0, {}, "made up", "CC0-1.0")


def toy_clips(split: str, each: int) -> list[Clip]:
    """Return ``each`` clips of each leaf; every seventh clip has a second tag."""
    found = []
    for number in range(each * len(LEAVES)):
        own = LEAVES[number % len(LEAVES)]
        other = LEAVES[(number * 5 + 2) % len(LEAVES)]
        tags = (own, other) if number % 7 == 6 and other != own else (own,)
        found.append(toy_clip(split, number, tags, f"{split} source {number // 2}"))
    return found


def toy_benchmark(each: int = 6, rare=("grouse", "siren"), **splits):
    """Return what the protocol needs of a benchmark."""
    found = {"train": toy_clips("train", 3), "validation": toy_clips("validation", 4)}
    found |= {"test": toy_clips("test", each)} | splits
    return SimpleNamespace(
        ontology=ONTOLOGY, rare=rare, splits=tuple(sorted(found)), clips=lambda split: found[split]
    )


def asked(sent, answerer):
    """Return the requests of rounds with the replies of an answerer."""
    found = []
    try:
        requests = next(sent)
        while True:
            replies = {r.key: r for group in answerer.answer(requests, set()) for r in group}
            assert len(replies) == len(requests)
            found += [(request, replies[request.key]) for request in requests]
            requests = sent.send([replies[request.key] for request in requests])
    except StopIteration:
        return found
