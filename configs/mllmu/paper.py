"""What the published MLLMU-Bench code does for every model (finetune.py and baselines/*.py): LoRA
of rank 16, the AdamW of transformers at 2e-5 without warm-up or clipping, batches of four pairs,
the loss over every token, and the paper's evaluation protocol.
"""

from configs.mllmu import common

DATA = ("published", "full", "small")


def get_config(arg: str, *, pretrained: str, targets: str, end_token: bool, tokens: int):
    """Return the published recipe for one model.

    Args:
      arg: the data: "published" (the parquet folders in benchmark.published_dir), or the generated
        "full" or "small".
      pretrained: default folder of the weights. targets: modules with an adapter.
      end_token: whether the model's chat format ends an answer. tokens: of the longest row.
    """
    if arg not in DATA:
        raise ValueError(f"the argument after the colon is {arg!r}, expected one of {DATA}")
    config = common.get_config()
    config.pretrained = pretrained
    config.model = dict(dtype="float32")  # as the published code, whose adapters sit on float32
    config.benchmark.update(config=arg, forget=5, pictures="published")
    if arg == "published":
        config.benchmark.published_dir = "MLLMU-Bench"
    config.rows.update(tokens=tokens, supervised=tokens, answers=1)
    config.base = common.stage(epochs=0)  # vanilla starts from the published weights
    recipe = dict(
        trainable="lora",
        optimizer="hf_adamw",
        learning_rate=2e-5,
        warmup=0,
        decay="linear",
        clip=0.0,
        rows=4,
        loss_on="text",
        end_token=end_token,
    )
    config.vanilla = common.stage(epochs=5, **recipe)
    config.retain_only_epochs = 1  # the oracle that NPO compares with
    config.replay = False  # celebrities are never trained on
    for name in ("ga", "grad_diff", "kl_min", "npo"):
        config.methods[name].update(epochs=1, **recipe)
    for name in common.UNTUNED:  # none is in the published code
        config.methods[name].update(epochs=1, **recipe)
    # The published schedule spans an epoch and is advanced once per epoch, so it is constant.
    for name in ("grad_diff", "kl_min"):
        config.methods[name].decay = "constant"
        config.methods[name].options.order = "sequential"
    # Only these two resize the embeddings to the tokenizer, which cuts spare rows off the softmax.
    for name in ("ga", "grad_diff"):
        config.methods[name].vocabulary = "tokenizer"
    config.methods.kl_min.options.kl_reduction = "per_answer"
    config.methods.npo.options.update(beta=0.4, form="batch_mean")
    config.lora.update(rank=16, dropout=0.05, targets=targets)
    config.evaluation.update(protocol="paper", rows=20)
    return config
