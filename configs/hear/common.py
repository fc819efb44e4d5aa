"""What every configuration of What do MLLMs hear? has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage
CONTROLS = ("before", "blind", "oracle", "always_yes", "random", "prior")
# How often each leaf or each clip comes (``mllm.benchmarks.hear.taught``): in text, and as sound.
TEXT = dict(labelled=0, described=0, kinds=0, named=0)
SOUND = dict(captions=0, classes=0, questions=0)


def get_config() -> ConfigDict:
    """Return everything but the models and their schedules."""
    config = common.get_config()
    # ``source``: the folder that config "edansa", "audioset", "esc50" or "folders" imports, with
    # ``options``, fields of ``mllm.benchmarks.hear.importers.options.Options``.
    config.benchmark.update(name="hear", config="tiny", source="", options=ConfigDict())
    config.language = _section(stage(), labelled=1, described=1, kinds=1, named=1)
    # The stages of LTU before the last; one without epochs passes the weights on.
    config.project = _section(stage(trainable="audio_projector"), captions=1, classes=1)
    config.listen = _section(stage(trainable="audio+audio_projector+lora"), captions=1, classes=1)
    config.classify = _section(
        stage(trainable="audio+audio_projector+lora"), captions=1, classes=1, questions=1
    )
    config.tune = ConfigDict(dict(schedule=stage(trainable="audio+audio_projector+lora")))
    # What is compared: the lessons of the last stage. Both learn from the same clips, and ``facts``
    # reads again what the language model was taught in text.
    heard = dict(captions=1, classes=1, questions=1)
    config.methods = ConfigDict(
        dict(
            captions=dict(lessons=_lessons(**heard)),
            facts=dict(lessons=_lessons(labelled=1, described=1, kinds=1, named=1, **heard)),
        )
    )
    # Fields of ``mllm.benchmarks.hear.protocol.Protocol``.
    config.evaluation.update(
        protocol="hear",
        split="test",
        clips=0,
        validation=0,
        per_label=8,
        relations=("label", "synonym", "parent", "grandparent", "sibling", "unrelated"),
        conditions=("T", "A", "AT", "C", "R"),
        variants=("plain",),
        described="rare",
        two_step=True,
        generated=False,
        caption_tokens=24,
        examples=4,
        # Of how many clips of each leaf the states between layers are measured; 0 measures none.
        representation=0,
    )
    return config


def _section(schedule: ConfigDict, **times: int) -> ConfigDict:
    return ConfigDict(dict(lessons=_lessons(**times), schedule=schedule))


def _lessons(**times: int) -> ConfigDict:
    return ConfigDict({**TEXT, **SOUND, **times})


def sweep(config: ConfigDict):
    """Yield what is compared, then the controls and what brackets all of them."""
    for name in (*config.methods, *CONTROLS):
        yield {"objective.name": name}
