"""Every method on two forget splits with three seeds, each tuned by as many trials (docs/study.md).

python -m experiments.sweep --config configs/mllmu/study_tiny.py --workdir runs/study
python -m experiments.sweep --config configs/mllmu/study_tiny.py:seeds=1 --workdir runs/study1

The trials come first, on validation people; the sweep then takes the values that they chose.
"""

from configs.mllmu import tiny

SPLITS = (15, 5)  # percent of the people
ANCHORS = ("base", "vanilla", "retain_only")
UNTRIED = ("prompting",)  # it has no number to choose
# Learning rates to try, as many for each method. Those that keep pushing on what is forgotten
# already need small ones; those that stop by themselves, or are held back by a retain term, larger.
RATES = {
    "ga": (7e-4, 9e-4, 1.05e-3, 1.2e-3),
    "grad_diff": (8e-4, 1e-3, 1.2e-3, 1.5e-3),
    "kl_min": (1e-3, 1.25e-3, 1.5e-3, 1.75e-3),
    "npo": (7e-4, 9e-4, 1.1e-3, 1.3e-3),
    "simnpo": (7e-4, 9e-4, 1.1e-3, 1.3e-3),
    "wga": (7e-4, 1e-3, 1.3e-3, 1.6e-3),
    "satimp": (7e-4, 1e-3, 1.5e-3, 2e-3),
    "undial": (1e-3, 1.5e-3, 2e-3, 3e-3),
    "ce_u": (5e-4, 7e-4, 1e-3, 1.4e-3),
    "kl_uniform": (5e-4, 7e-4, 1e-3, 1.4e-3),
    "rmu": (1e-3, 2e-3, 3e-3, 5e-3),
    "scrub": (1e-3, 1.5e-3, 2e-3, 3e-3),
    "idk": (5e-4, 8e-4, 1.2e-3, 2e-3),
    "dpo": (5e-4, 8e-4, 1.2e-3, 2e-3),
    "pdu": (5e-4, 8e-4, 1.2e-3, 2e-3),
}
# Methods with another number to choose: (its key, the values to try).
OTHERS = {"task_vector": ("options.scale", (1.0, 2.0, 4.0, 8.0))}
TRIALS = {**{name: ("learning_rate", rates) for name, rates in RATES.items()}, **OTHERS}
# Also trained on one kind of pairs alone, on the first split: does it carry over to the other?
ONE_KIND = ("kl_min", "npo", "simnpo", "wga", "idk", "rmu")


def get_config(arg: str = ""):
    config = tiny.get_config()
    options = dict(part.split("=") for part in arg.split(",") if part)
    if unknown := set(options) - {"seeds"}:
        raise ValueError(f"study_tiny takes seeds=N, got {sorted(unknown)}")
    config.sweep_seeds = int(options.get("seeds", 3))
    config.evaluation.measures = True
    return config


def trials(config):
    """Yield the trials on validation people: as many values for each method."""
    for name in tried(config):
        key, values = TRIALS[name]
        for value in values:
            yield {"objective.name": name, f"methods.{name}.{key}": value}


def tried(config) -> list[str]:
    """Return the methods that have trials, in the order of the configuration.

    Raises:
      ValueError: a method has no values to try.
    """
    names = [name for name in config.methods if name not in UNTRIED]
    if missing := [name for name in names if name not in TRIALS]:
        raise ValueError(f"study_tiny lists no values to try for {missing}; add them to TRIALS")
    return names


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
                }


def _longer(config, name: str, forget: int) -> dict:
    """Return the epochs of a method on the small split: with a third of the people three times as
    many, so that it takes as many steps as those that the rates were chosen with.
    """
    if forget == SPLITS[0] or name in ANCHORS:
        return {}
    return {f"methods.{name}.epochs": config.methods[name].epochs * SPLITS[0] // forget}
