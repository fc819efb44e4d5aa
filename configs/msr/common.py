"""What every configuration of MLLM-MSR has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage
BRACKETS = ("oracle", "bayes", "random", "constant")


def get_config() -> ConfigDict:
    """Return everything but the models and their schedules."""
    config = common.get_config()
    # ``source``: the folder that config "microlens", "amazon" or "table" imports, with ``options``,
    # fields of ``mllm.benchmarks.msr.options.Options``.
    config.benchmark.update(name="msr", config="tiny", source="", options=ConfigDict())
    # ``compat`` writes the published marks to the byte. What is shown of a ``candidate`` is some of
    # picture and title; what is said of an item of the ``history``, some of title and summary.
    config.prompts = ConfigDict(
        dict(
            wording="published",
            layout="picture_last",
            compat=False,
            candidate=("picture", "title"),
            history=("title", "summary"),
        )
    )
    # ``kind`` is "picture", "text", "fused" or "template", which asks no model.
    config.summaries = ConfigDict(dict(kind="picture", tokens=200, longest=1200))
    # ``form`` is "recurrent", "direct" or "none"; ``writer`` is "model" or "template".
    config.preferences = ConfigDict(
        dict(
            form="recurrent",
            block=3,
            writer="model",
            tokens=1024,
            temperature=0.0,
            top_p=1.0,
            seed=0,
            longest=2000,
        )
    )
    # A model is taught to say what the covers of the gallery show.
    config.captioner = stage(augment="gentle")
    # The model that writes summaries and preferences, and that the recommender starts from:
    # ``folder`` imports it; "" teaches the captioner so many preferences (``blocks``), and what so
    # many items have in common with one (``comparisons``), by template. ``writer`` imports another
    # model for preferences. Runs with other options need another name of the
    # folder, the ``variant``.
    config.summariser = ConfigDict(
        dict(
            folder="",
            writer="",
            variant="",
            blocks=4000,
            comparisons=4000,
            schedule=stage(share_text=True),
        )
    )
    # What is learned of users: ``negatives`` of each item that was taken; ``ahead``: how many of
    # the items after each block are learned besides the target; ``users``: how many, 0 for all.
    choices = dict(negatives=1, ahead=0, users=0)
    config.recommender = ConfigDict(dict(**choices, schedule=stage(share_text=True)))
    config.tallrec = ConfigDict(dict(**choices, schedule=stage()))
    networks = dict(learning_rate=(5e-3, 1e-2), dropout=(0.1, 0.4), epochs=(20,))
    config.baselines = ConfigDict(
        dict(
            popularity=ConfigDict(),
            bpr=baseline(rows=512, learning_rate=(1e-2, 3e-2), decay=(1e-2, 3e-2), epochs=(20,)),
            gru4rec=baseline(**networks),
            sasrec=baseline(**networks),
            gru4rec_f=baseline(**networks),
            sasrec_f=baseline(**networks),
        )
    )
    config.evaluation.update(
        protocol="candidates",
        split="test",
        users=0,  # the first ones; 0 is all
        retriever="",  # a stage that chooses the ``top`` of all items; "" asks about the negatives
        top=100,
    )
    return config


def baseline(rows=128, **grid) -> ConfigDict:
    """Return the sizes of a baseline, and the values among which it is tuned."""
    return ConfigDict(dict(width=64, length=50, blocks=2, heads=1, rows=rows, grid=grid))


def sweep(config: ConfigDict):
    """Yield the recommender, what it is compared with, and what brackets it."""
    unknown = {"bayes"} if config.benchmark.source else set()  # nobody knows it of imported data
    for name in ("recommender", "zero_shot", "tallrec", "blind", *config.baselines, *BRACKETS):
        if name not in unknown:
            yield {"objective.name": name}
