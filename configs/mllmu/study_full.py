"""Methods on the 500 people of `full`, with a model that memorises them: minutes on a GPU.

python -m experiments.sweep --config configs/mllmu/study_full.py --workdir runs/study_full
python -m experiments.sweep --config configs/mllmu/study_full.py:seeds=1 --workdir runs/study_full1

As in study_tiny.py, as many trials of each method come first, on validation people. Unlearning
takes four times the rows a step, so a method takes about as many steps as on `small`.
"""

from configs.mllmu import study_tiny

FORGET = 15  # percent of the people
METHODS = (
    "prompting",
    "ga",
    "grad_diff",
    "kl_min",
    "npo",
    "simnpo",
    "wga",
    "scrub",
    "idk",
    "undial",
    "ce_u",
    "task_vector",
    "mmunlearner",
)
OTHERS = {"task_vector": ("options.scale", (2.0, 4.0, 6.0, 8.0))}
RATES = (6e-4, 1.7e-3, 5e-3, 1.5e-2)


def get_config(arg: str = ""):
    config = study_tiny.get_config(arg)
    config.benchmark.update(config="full", forget=FORGET)
    config.model.decoder.update(width=384, layers=4, heads=6, mlp_width=1024)
    config.model.vision.update(width=256, layers=4, mlp_width=1024)
    config.model.projector.update(mlp_width=384, width=384)
    # Captions of `full` are longer than those of `small`.
    config.rows.update(tokens=128, supervised=64)
    for name in ("base", "vanilla"):
        config[name].update(rows=32, epochs=3)
    for name in METHODS:
        config.methods[name].rows = 64
    config.together = len(RATES)
    config.checkpoint_every = 2000
    config.log_every = 50
    # Multiple choices, which the headline is read from.
    config.evaluation.update(asks="options", measures=False, likelihood=False, judges="", rows=256)
    return config


def trials(config):
    """Yield the trials on validation people: as many values for each method."""
    yield from study_tiny.tried(METHODS, RATES, OTHERS)


def sweep(config):
    """Yield the overrides of the runs: seed by seed, so that the first is whole before the next."""
    for seed in range(config.sweep_seeds):
        for name in (*study_tiny.ANCHORS, *METHODS):
            yield {"seed": seed, "benchmark.forget": FORGET, "objective.name": name}
