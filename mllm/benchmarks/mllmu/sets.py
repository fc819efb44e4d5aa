"""The sets of people that a study teaches, forgets and asks about, and their training examples."""

from collections.abc import Callable, Sequence

from mllm.benchmarks.mllmu.instructions import INSTRUCTIONS
from mllm.benchmarks.mllmu.paper_pictures import as_published
from mllm.benchmarks.mllmu.schema import MODALITIES, Profile
from mllm.data.conversation import Example, assistant, image, user
from mllm.data.source import Source
from mllm.registry import lookup

FORGET, RETAIN = "forget", "retain"
UNSEEN = "unseen"  # asked about only to compare people to forget with strangers
BOTH = "both"  # pairs with a picture, and those without
PICTURES: dict[str, Callable[[bytes], bytes]] = {"upright": bytes, "published": as_published}


def chosen_profiles(config, benchmark, group: str) -> Sequence[Profile]:
    """Return the profiles of a group: "forget", "retain", "celebrity" or "captions".

    While tuning, the validation profiles are what is forgotten and all others are retained.
    ``config.benchmark.limit`` takes the first few of a group, for a model too slow for all.

    Raises:
      ValueError: ``config.tuning`` with published data, which has no validation profiles.
    """
    if config.tuning and "validation" not in benchmark.splits:
        raise ValueError(
            f"config.tuning: data of benchmark.config {benchmark.config!r} has no validation "
            "profiles; choose rates on generated data (benchmark.config 'small' or 'full')"
        )
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
        sets["test"] = benchmark.profiles_of("test", ids)
    return sets


def unseen_people(config, benchmark) -> dict[str, Sequence[Profile]]:
    """Return the profiles that no model of a study was taught, by the name of their set; no set
    while tuning, which teaches them, and with published data, which has none.
    """
    if config.tuning or "validation" not in benchmark.splits:
        return {}
    return {UNSEEN: benchmark.profiles("validation")[: config.benchmark.limit.forget or None]}


def taught(
    config, benchmark, group: str, role: str = "", modality: str = BOTH
) -> "TrainingExamples":
    """Return the training pairs of a group of profiles, with the role that an objective reads.

    Raises:
      ValueError: an unknown ``benchmark.pictures`` or modality, or profiles without any such pair.
    """
    pictures = config.benchmark.pictures
    lookup(PICTURES, pictures, "value of benchmark.pictures")
    lookup(dict.fromkeys((BOTH, *MODALITIES)), modality, "value of benchmark.modality")
    profiles = chosen_profiles(config, benchmark, group)
    found = TrainingExamples(profiles, role, pictures, modality)
    if modality != BOTH and len(profiles) and not len(found):
        raise ValueError(
            f"benchmark.modality is {modality!r}, but the {len(profiles)} profiles of {group!r} "
            f"have no training pair of that kind; {BOTH!r} takes what there is"
        )
    return found


class TrainingExamples(Source[Example]):
    """The training pairs of profiles as conversations, each about the profile's first picture.

    Args:
      pictures: a name of ``PICTURES``.
      modality: of ``MODALITIES``, or ``BOTH``: of the pairs that are taken.
    """

    def __init__(
        self,
        profiles: Sequence[Profile],
        role: str = "",
        pictures: str = "upright",
        modality: str = BOTH,
    ):
        self._profiles, self._role, self._seen = profiles, role, PICTURES[pictures]
        self._places = [
            (number, place)
            for number, profile in enumerate(profiles)
            for place, pair in enumerate(profile.training)
            if modality in (BOTH, pair.modality)
        ]

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> Example:
        place, which = self._places[number]
        profile = self._profiles[place]
        pair = profile.training[which]
        shown = [image(self._seen(profile.images[0]))] if pair.modality == "image_text" else []
        turns = user(*shown, pair.question + INSTRUCTIONS[pair.form]), assistant(pair.answer)
        name = f"profile {profile.id}, training pair {which}"
        return Example(name, profile.id, turns, self._role)
