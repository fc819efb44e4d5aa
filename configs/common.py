"""What every configuration has, with neutral values; ``configs/<system>/common.py`` adds the
sections of a system, and its other files a model and schedules.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def stage(**values) -> ConfigDict:
    """Return how one stage of a study trains.

    ``epochs`` are passes over the stage's rows, 0 passes the parent's weights on; ``clip`` 0 does
    not clip; ``accumulation`` is the number of parts that a step's ``rows`` are processed in, to
    hold fewer activations at a time; ``row_tokens`` and ``row_supervised`` override those of
    ``rows``, 0 does not; ``trainable`` is "params" (all of them), "lora" or a part of the
    model, e.g. "projector"; ``loss_on`` is "answer" (strict), "pictures" (also every picture in
    codes), "all" (question and answer) or "text" (every token of the row; it needs
    ``rows.answers`` = 1); ``end_token`` is whether an
    answer ends with one; ``augment`` shows random views of pictures, "strong" (or True) or
    "gentle" ones (``mllm.data.views``); ``alike`` puts rows of like length into one batch;
    ``split`` overrides the processor on whether pictures are split into crops; ``optimizer`` is
    one of ``mllm.training.optimizers``; ``vocabulary`` "tokenizer" leaves the rows of the head
    that are no token of the tokenizer out of the softmax, in training and in the trained model;
    ``share_text`` also lets examples share the text before a picture, not only what ends with one;
    ``sounds`` plays random views of sounds (``mllm.data.sound_views``): "masked" hides spans of
    their spectrograms, "mixed" mixes others in, "masked+mixed" does both.
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
        row_tokens=0,
        row_supervised=0,
        accumulation=1,
        augment=False,
        trainable="params",
        loss_on="answer",
        end_token=True,
        alike=False,
        split=placeholder(bool),
        vocabulary="all",
        share_text=False,
        sounds="",
    )
    unknown = set(values) - set(defaults)
    if unknown:
        raise ValueError(f"stage() got unknown keys {sorted(unknown)}, known: {sorted(defaults)}")
    return ConfigDict({**defaults, **values})


def decoder(vocabulary: int, width: int, layers: int, mlp: int) -> dict:
    """Return a small decoder from random weights: heads of 32, each with keys of its own."""
    return dict(
        vocab_size=vocabulary,
        width=width,
        layers=layers,
        heads=width // 32,
        kv_heads=width // 32,
        head_dim=32,
        mlp_width=mlp,
        tied=False,
    )


def get_config() -> ConfigDict:
    """Return everything but the model, its schedules and what only one system has."""
    config = ConfigDict()
    config.seed = 0
    config.benchmark = ConfigDict(
        dict(name="", config="small", data_dir="data", published_dir="", seed=0)
    )
    # Weights to start from: "smol", or the path of a Hugging Face folder or of a checkpoint of
    # ours, cast to ``model.dtype`` if that is given; "" for random ones. For a folder
    # ``model.remat`` is what the decoder's layers keep for the backward pass while training: a
    # policy of ``mllm.models.layers``, or "auto", the fastest one that fits into the memory.
    config.pretrained = ""
    config.model = ConfigDict()
    # ``chat_format`` is of ``mllm.data.chat``; None takes the one of the folder in ``pretrained``,
    # whose format may also be the path of a Jinja template.
    config.processor = ConfigDict(dict(chat_format=placeholder(str), image_size=64))
    config.rows = ConfigDict(dict(tokens=192, supervised=64, answers=12))
    # The stage that is run. Runs of one method with other options need a name of their own, the
    # variant: folder NAME_VARIANT.
    config.objective = ConfigDict(dict(name="", variant=""))
    # ``dropout`` is of the inputs of the low-rank update, while training.
    config.lora = ConfigDict(dict(rank=16, targets=r"decoder/layers/\w+$", dropout=0.0))
    # All devices of all processes: rows of a batch are split over data and fsdp, weights over fsdp
    # and tensor; -1 takes what is left.
    config.mesh = ConfigDict(dict(data=1, fsdp=-1, tensor=1))
    config.evaluation = ConfigDict(
        dict(
            protocol="",
            rows=0,  # questions at once; 0: as many as memory holds
            # "int8" asks with the layers' matrices in int8; results lie next to those of "", the
            # weights as saved.
            weights="",
            # "int8" or "fp8" keeps keys and values in 8 bits; results lie next to those of "" too.
            kv="",
            # Of an instructed model, how many requests' attention over the picture is kept next to
            # the replies, besides the weights of its encoders for all of them.
            looks=0,
            # Whether a sweep measures what answering costs each model, when all are evaluated.
            efficiency=False,
        )
    )
    # The most runs of a sweep that are trained as one program, where they train adapters of one
    # shape over the same weights and rows (docs/architecture.md); 1: each by itself.
    config.together = 1
    config.checkpoint_every = 200
    config.log_every = 10
    return config
