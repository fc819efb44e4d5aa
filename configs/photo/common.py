"""What every configuration of PhotoEye has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage
ALL = -1
CONTROLS = ("blind", "blank", "wrong_photo")
BRACKETS = ("oracle", "random")


def get_config() -> ConfigDict:
    """Return everything but the models and their schedules."""
    config = common.get_config()
    # ``source``: the folder that config "photobench", "aesbench" or "comments" imports, with
    # ``options``, fields of ``mllm.benchmarks.photo.importers.options.Options``.
    config.benchmark.update(name="photo", config="tiny", source="", options=ConfigDict())
    # The encoders learn from photographs with ``each`` of their questions (0: all), ``repeats``
    # times. Runs with other encoders need another name of the folder, the ``variant``, which
    # ``align`` then has too.
    config.encoders = ConfigDict(dict(variant="", repeats=1, each=0, schedule=stage()))
    # Of how many photographs (the first ones; ALL, 0: none) questions are learned with the text of
    # their answer and with its letter, and critiques and conversations.
    lessons = dict(text=ALL, letter=ALL, critiques=ALL, conversations=ALL)
    config.align = _section(lessons, stage(trainable="fusion+projector"))
    config.tune = _section(lessons, stage(trainable="fusion+projector+decoder"))
    # What is compared: fields of the model's ``fusion`` in which one method differs from another.
    # The parameters, the weights that they start from and the rows that they see are the same.
    config.methods = ConfigDict(
        dict(
            fused=fusion("text+vision"),
            joint=fusion("joint"),
            unguided=fusion("vision", bank_on=False),
        )
    )
    config.evaluation.update(
        protocol="four_options",
        split="test",
        photos=ALL,  # the first ones
        letters=ALL,  # of how many of these the questions are also asked by letter
        critiques=ALL,  # of how many of these a critique is asked for
        orders=4,  # of the options, 1 or 4
        generated=True,  # whether a letter is also generated
        critique_tokens=64,  # of each of its three parts
    )
    return config


def _section(lessons: dict, schedule: ConfigDict) -> ConfigDict:
    return ConfigDict(dict(lessons=ConfigDict(lessons), schedule=schedule))


def fusion(gate: str, bank_on: bool = True, **fields) -> ConfigDict:
    """Return how a method joins the encoders (``mllm.models.fusion.FusionConfig``)."""
    return ConfigDict(dict(gate=gate, bank_on=bank_on, **fields))


def sweep(config: ConfigDict):
    """Yield what is compared, then the controls and what brackets all of them."""
    for name in (*config.methods, *CONTROLS, *BRACKETS):
        yield {"objective.name": name}
