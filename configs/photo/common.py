"""What every configuration of PhotoEye has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage
CONTROLS = ("blind", "blank", "wrong_photo")
BRACKETS = ("oracle", "random")


def get_config() -> ConfigDict:
    """Return everything but the models and their schedules."""
    config = common.get_config()
    # ``source``: the folder that config "photobench", "aesbench" or "comments" imports, with
    # ``options``, fields of ``mllm.benchmarks.photo.importers.options.Options``.
    config.benchmark.update(name="photo", config="tiny", source="", options=ConfigDict())
    # The encoders learn from photographs with their questions, each shown ``repeats`` times. Runs
    # with other encoders need another name of the folder, the ``variant``, also that of ``align``.
    config.encoders = ConfigDict(dict(variant="", repeats=1, schedule=stage()))
    # What is learned: questions with the text of their answer or its ``letter`` (``forms``),
    # critiques and conversations.
    lessons = dict(forms=("text", "letter"), critiques=True, conversations=True)
    config.align = ConfigDict(dict(**lessons, schedule=stage(trainable="fusion+projector")))
    config.tune = ConfigDict(dict(**lessons, schedule=stage(trainable="fusion+projector+decoder")))
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
        photos=0,  # the first ones; 0 is all
        letters=0,  # of how many of these the questions are also asked by letter; 0 is all
        critiques=0,  # of how many of these a critique is asked for; 0 is all
        orders=4,  # of the options, 1 or 4
        generated=True,  # whether a letter is also generated
        critique_tokens=64,  # of each of its three parts; 0 asks for none
    )
    return config


def fusion(gate: str, bank_on: bool = True, **fields) -> ConfigDict:
    """Return how a method joins the encoders (``mllm.models.fusion.FusionConfig``)."""
    return ConfigDict(dict(gate=gate, bank_on=bank_on, **fields))


def sweep(config: ConfigDict):
    """Yield what is compared, then the controls and what brackets all of them."""
    for name in (*config.methods, *CONTROLS, *BRACKETS):
        yield {"objective.name": name}
