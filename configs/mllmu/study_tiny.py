"""Every method on two forget splits with three seeds, each tuned by as many trials (docs/study.md).

python -m experiments.sweep --config configs/mllmu/study_tiny.py --workdir runs/study
python -m experiments.sweep --config configs/mllmu/study_tiny.py:seeds=1 --workdir runs/study1

The trials come first, on validation people; the sweep then takes the values that they chose.
"""

from configs.mllmu import tiny

SPLITS = (15, 5)  # percent of the people
ANCHORS = ("base", "vanilla", "retain_only")
UNTRIED = ("prompting",)  # it has no number to choose
# Forget terms are compared beside the same retain term. The others are as their papers have them:
# without one, with one of their own, or with both terms in their definition.
SAME_RETAIN = ("npo", "simnpo", "wga", "satimp", "undial", "ce_u", "kl_uniform", "idk", "dpo")
# What each method is tried with, as many values for each: learning rates, the same for all, or
# another number.
RATES = (6e-4, 1e-3, 1.7e-3, 3e-3, 5e-3, 1e-2)
OTHERS = {
    "task_vector": ("options.scale", (1.0, 2.0, 4.0, 8.0, 3.0, 6.0)),
    "manu": ("options.share", (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)),
}
# Also trained on one kind of pairs alone, on the first split: does it carry over to the other?
# These are read for their accuracy by modality, so nothing else is measured or judged.
ONE_KIND = ("kl_min", "npo", "simnpo", "wga", "idk", "rmu")
REPLIES_ALONE = {
    "evaluation.measures": False,
    "evaluation.likelihood": False,
    "evaluation.judges": "",
}


def get_config(arg: str = ""):
    config = tiny.get_config()
    options = dict(part.split("=") for part in arg.split(",") if part)
    if unknown := set(options) - {"seeds"}:
        raise ValueError(f"study_tiny takes seeds=N, got {sorted(unknown)}")
    config.sweep_seeds = int(options.get("seeds", 3))
    for name in SAME_RETAIN:
        config.methods[name].options.update(keep="kl", retain_weight=1.0)
    config.evaluation.update(measures=True, likelihood=True, judges="facts+rouge")
    return config


def trials(config):
    """Yield the trials on validation people: as many values for each method."""
    yield from tried(config.methods, RATES, OTHERS)


def tried(methods, rates, others):
    """Yield a trial of each method with each of ``rates``, or with the values of another key that
    ``others`` names.
    """
    for name in methods:
        if name not in UNTRIED:
            key, values = others.get(name, ("learning_rate", rates))
            for value in values:
                yield {"objective.name": name, f"methods.{name}.{key}": value}


def sweep(config):
    """Yield the overrides of the runs: seed by seed, so that the first is whole before the next."""
    for seed in range(config.sweep_seeds):
        for forget in SPLITS:
            shared = {"seed": seed, "benchmark.forget": forget}
            for name in (*ANCHORS, *config.methods):
                yield {**shared, "objective.name": name, **_longer(config, name, forget)}
        for name in ONE_KIND:
            for kind in ("text", "image_text"):
                yield {
                    "seed": seed,
                    "benchmark.forget": SPLITS[0],
                    "objective.name": name,
                    "objective.variant": kind,
                    "benchmark.modality": kind,
                    **REPLIES_ALONE,
                }


def _longer(config, name: str, forget: int) -> dict:
    """Return the epochs of a method on the small split: with a third of the people three times as
    many, so that it takes as many steps as those that the rates were chosen with.
    """
    if forget == SPLITS[0] or name in ANCHORS:
        return {}
    return {f"methods.{name}.epochs": config.methods[name].epochs * SPLITS[0] // forget}
