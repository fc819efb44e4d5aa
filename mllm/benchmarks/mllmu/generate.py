"""The generated benchmark: every row of every split, from a seed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from joblib import Parallel, cpu_count, delayed

from mllm.benchmarks.mllmu import celebrities, portraits
from mllm.benchmarks.mllmu.captions import caption_pairs
from mllm.benchmarks.mllmu.people import CHOICE_ATTRIBUTES, POOLS, draw_people
from mllm.benchmarks.mllmu.questions import evaluation_questions, training_pairs
from mllm.benchmarks.mllmu.schema import FORGET_RATIOS, Profile
from mllm.benchmarks.mllmu.splits import draw_forget_ids
from mllm.benchmarks.mllmu.wordings import CELEBRITY_WORDINGS, PERSON_WORDINGS

MOST = 16  # processes that draw: each imports what it needs first


@dataclass(frozen=True)
class Sizes:
    """How many profiles of each sort, and how many values of each pool are in use."""

    people: int
    celebrities: int
    validation: int
    captions: int
    pool: int


SIZES = {
    "small": Sizes(people=60, celebrities=18, validation=8, captions=240, pool=20),
    "full": Sizes(people=500, celebrities=153, validation=50, captions=1000, pool=25),
}


def generate(
    sizes: Sizes,
    seed: int,
    *,
    draw_images: bool = True,
    progress: Callable[[str], None] | None = None,
) -> tuple[dict[str, list[Profile]], dict[int, tuple[str, ...]]]:
    """Return (rows by split, forget IDs by percent).

    The same sizes and seed give the same bytes. Without `draw_images` rows have no pictures,
    which is for counting only: such rows are not valid to store.
    """
    say = progress or (lambda message: None)
    ids = [f"p-{number:04d}" for number in range(sizes.people)]
    validation_ids = [f"v-{number:04d}" for number in range(sizes.validation)]
    forget_ids = draw_forget_ids(ids, seed)
    forgettable = {profile for drawn in forget_ids.values() for profile in drawn}

    # Validation people are drawn like those to forget: no other value depends on theirs.
    people = draw_people(ids + validation_ids, forgettable | set(validation_ids), sizes.pool, seed)
    pools = {attribute: POOLS[attribute][: sizes.pool] for attribute in CHOICE_ATTRIBUTES}
    asked = [(person.id, person.name, person.facts) for person in people]
    shared, held_out = asked[: sizes.people], asked[sizes.people :]
    questions = evaluation_questions(shared, PERSON_WORDINGS, pools, "full", seed)
    questions |= evaluation_questions(held_out, PERSON_WORDINGS, pools, "full", seed)
    paraphrased = evaluation_questions(shared, PERSON_WORDINGS, pools, "test", seed)

    genders = [person.gender for person in people]
    images, looks = _portraits(genders, seed, "people", draw_images, say)
    rows = [
        Profile(
            id=person.id,
            name=person.name,
            kind="fictitious",
            images=images[number],
            biography=person.biography,
            attributes=looks[number].attributes,
            questions=questions[person.id],
            training=training_pairs(person.name, person.facts, PERSON_WORDINGS),
        )
        for number, person in enumerate(people)
    ]
    full = rows[: sizes.people]
    say(f"transforming {len(full)} portraits")
    changed = [()] * len(full)
    if draw_images:
        shown = [(profile.images[0], f"{seed}/{profile.id}") for profile in full]
        changed = _over_cores(portraits.transform, shown)
    test = [
        replace(profile, images=pictures, questions=paraphrased[profile.id], training=())
        for profile, pictures in zip(full, changed, strict=True)
    ]
    splits = {
        "full": full,
        "test": test,
        "validation": rows[sizes.people :],
        "celebrity": _celebrity_rows(sizes.celebrities, seed, draw_images, say),
        "captions": _caption_rows(sizes.captions, seed, draw_images, say),
    }
    for ratio in FORGET_RATIOS:
        chosen = set(forget_ids[ratio])
        splits[f"forget_{ratio}"] = [row for row in full if row.id in chosen]
        splits[f"retain_{100 - ratio}"] = [row for row in full if row.id not in chosen]
    return splits, forget_ids


def _celebrity_rows(
    count: int, seed: int, draw_images: bool, say: Callable[[str], None]
) -> list[Profile]:
    figures = celebrities.read_celebrities()[:count]
    asked = [(f"c-{n:04d}", figure.name, figure.facts) for n, figure in enumerate(figures)]
    pools = {
        attribute: {figure.facts[attribute] for figure in figures}
        for attribute in CELEBRITY_WORDINGS
    }
    questions = evaluation_questions(asked, CELEBRITY_WORDINGS, pools, "full", seed)
    # The drawing only takes the place of a photograph; the benchmark's seed does not change it.
    genders = [figure.gender for figure in figures]
    images, looks = _portraits(genders, 0, "celebrities", draw_images, say)
    return [
        Profile(
            id=profile,
            name=name,
            kind="celebrity",
            images=images[number],
            biography=figures[number].biography,
            attributes=looks[number].attributes,
            questions=questions[profile],
            training=training_pairs(name, facts, CELEBRITY_WORDINGS),
        )
        for number, (profile, name, facts) in enumerate(asked)
    ]


def _caption_rows(
    count: int, seed: int, draw_images: bool, say: Callable[[str], None]
) -> list[Profile]:
    genders = [("female", "male")[number % 2] for number in range(count)]
    images, looks = _portraits(genders, seed, "captions", draw_images, say)
    return [
        Profile(
            id=f"cap-{number:04d}",
            name="",
            kind="caption",
            images=images[number],
            attributes=look.attributes,
            training=caption_pairs(look.attributes),
        )
        for number, look in enumerate(looks)
    ]


def _portraits(
    genders: Sequence[str], seed: int, purpose: str, draw: bool, say: Callable[[str], None]
) -> tuple[list[tuple[bytes, ...]], list[portraits.Look]]:
    looks = portraits.draw_looks(genders, seed, purpose)
    if not draw:
        return [()] * len(looks), looks
    say(f"drawing {len(looks)} portraits ({purpose})")
    drawn = _over_cores(portraits.render, [(look,) for look in looks])
    return [(picture,) for picture in drawn], looks


def _over_cores(function: Callable, calls: Iterable[tuple]) -> list[Any]:
    """Return the results of calls, in order, computed by one process per core, because the
    rasteriser holds the interpreter's lock.
    """
    return Parallel(n_jobs=min(cpu_count(), MOST))(delayed(function)(*call) for call in calls)
