"""The sets of people that a study teaches, forgets and asks about, and their training examples."""

from collections.abc import Iterable, Sequence

from mllm.benchmarks.mllmu.schema import Profile
from mllm.data.conversation import Example, assistant, image, user
from mllm.data.prompts import INSTRUCTIONS

FORGET, RETAIN = "forget", "retain"


def chosen_profiles(config, benchmark, group: str) -> Sequence[Profile]:
    """Return the profiles of a group: "forget", "retain", "celebrity" or "captions".

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


def evaluation_sets(config, benchmark) -> dict[str, Sequence[Profile]]:
    """Return the profiles of the four sets; while tuning there is no test set, and the forget set
    is none of those that are reported.
    """
    groups = ("forget", "retain", "celebrity")
    sets = {group: chosen_profiles(config, benchmark, group) for group in groups}
    if not config.tuning:
        ids = {profile.id for profile in sets["forget"]}
        sets["test"] = [p for p in benchmark.profiles("test") if p.id in ids]
    return sets


def training_examples(profiles: Iterable[Profile], role: str = "") -> list[Example]:
    """Return the training pairs of profiles as conversations, each about the first picture."""
    examples = []
    for profile in profiles:
        for number, pair in enumerate(profile.training):
            shown = [image(profile.images[0])] if pair.modality == "image_text" else []
            turns = user(*shown, pair.question + INSTRUCTIONS[pair.form]), assistant(pair.answer)
            name = f"profile {profile.id}, training pair {number}"
            examples.append(Example(name, profile.id, turns, role))
    return examples
