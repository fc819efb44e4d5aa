"""The whole configuration surface, with neutral values; files beside this one fill in a model and
its schedules.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def stage(**values) -> ConfigDict:
    """How one stage of teaching or unlearning trains.

    ``epochs`` are passes over the stage's rows (over the forget rows where a method has them), 0
    hands the weights on; ``clip`` 0 does not clip; ``accumulation`` is the parts that a step's
    ``rows`` are taken in, to hold fewer activations at a time; ``trainable`` is "params" (all of
    them), "lora" or a part of the model, e.g. "projector"; ``loss_on`` is "answer" (strict), "all"
    (question and answer) or "text" (every token of the row, as published; it needs ``rows.answers``
    = 1); ``end_token`` is whether an answer ends with one; ``split`` overrules the processor on
    whether pictures are split into crops.
    """
    defaults = dict(
        epochs=1,
        learning_rate=1e-3,
        warmup=20,
        decay="cosine",
        weight_decay=0.0,
        optimizer="adamw",
        b2=0.999,
        clip=1.0,
        rows=24,
        accumulation=1,
        augment=False,
        trainable="params",
        loss_on="answer",
        end_token=True,
        split=placeholder(bool),
    )
    unknown = set(values) - set(defaults)
    if unknown:
        raise ValueError(f"stage() got unknown keys {sorted(unknown)}, known: {sorted(defaults)}")
    return ConfigDict({**defaults, **values})


def method(options: dict | None = None, **values) -> ConfigDict:
    """A stage of unlearning and the options of its objective (see ``mllm.unlearning``)."""
    config = stage(**values)
    config.options = ConfigDict(options or {})
    return config


def get_config() -> ConfigDict:
    """Everything but the model; see ``configs/mllmu/tiny.py`` for a whole one."""
    config = ConfigDict()
    config.seed = 0
    # Tuning teaches the validation profiles too and forgets those: no reported forget or test
    # question is ever asked.
    config.tuning = False
    config.benchmark = ConfigDict(
        dict(name="mllmu", config="small", data_dir="data", published_dir="", seed=0, forget=15)
    )
    # The first few of each group, 0 for all: for a model too slow to be taught and asked all.
    config.benchmark.limit = ConfigDict(dict(forget=0, retain=0, celebrity=0, captions=0))
    # Weights to start from: "smol", or the path of a Hugging Face folder or of a checkpoint of
    # ours, cast to ``model.dtype`` where that is given; "" for random ones. For a folder
    # ``model.remat`` is what the decoder's layers keep for the backward pass while training.
    config.pretrained = ""
    config.model = ConfigDict()
    config.processor = ConfigDict(dict(chat_format="llava", image_size=64))
    config.rows = ConfigDict(dict(tokens=192, supervised=64, answers=12))
    # Teaching: base -> vanilla, and base -> retain_only with the schedule of vanilla, over as many
    # epochs unless others are given.
    config.base = stage()
    config.vanilla = stage()
    config.retain_only_epochs = placeholder(int)
    # Whether vanilla and retain_only go on seeing the public figures, lest they be forgotten.
    config.replay = True
    # Runs of one method with other options need a name of their own: folder npo_VARIANT_15.
    config.objective = ConfigDict(dict(name="npo", variant=""))
    config.methods = ConfigDict(
        dict(
            ga=method(),
            grad_diff=method(dict(retain_weight=1.0, order="joint")),
            kl_min=method(
                dict(retain_weight=1.0, kl_weight=1.0, kl_reduction="per_token", order="joint")
            ),
            npo=method(dict(beta=0.1, form="sequence", retain_weight=0.0)),
            prompting=method(),
        )
    )
    # ``dropout`` is of the inputs of the low-rank update, while training.
    config.lora = ConfigDict(dict(rank=16, targets=r"decoder/layers/\w+$", dropout=0.0))
    # All devices of all processes: rows of a batch are split over data and fsdp, weights over fsdp
    # and tensor; -1 takes what is left.
    config.mesh = ConfigDict(dict(data=1, fsdp=-1, tensor=1))
    config.evaluation = ConfigDict(
        dict(
            protocol="strict",
            classification_tokens=16,
            cloze_tokens=16,
            generation_tokens=48,
            profiles=0,  # as many at once as memory holds
            # "int8" asks with the layers' matrices in int8, beside the results of "", as saved.
            weights="",
        )
    )
    # The published protocol (protocol="paper"), switch by switch; see docs/protocol.md. None takes
    # what the published script takes for the model's family.
    config.evaluation.paper = ConfigDict(
        dict(
            seed=0,
            shots_from="evaluated_set",
            classification_shots=placeholder(int),
            cloze_shots=placeholder(int),
            skip_shots=True,
            test_image="random",
            parse="whole",
            choice_rule="first_char",
            generation_trailing_space=True,
            max_new_tokens=50,
            text_choice_tokens=placeholder(int),
            overflow="refuse",
            rows=0,
        )
    )
    config.checkpoint_every = 200
    config.log_every = 10
    return config
