"""LLaVA-1.5-7B our way: questions about one picture share a row, the loss is on answers, the base
is bfloat16 and the adapters float32.

python -m experiments.prepare --config configs/mllmu/llava7b.py
python -m experiments.unlearn --config configs/mllmu/llava7b.py --config.objective.name=npo \
    --workdir runs/llava7b/npo
python -m experiments.evaluate --config configs/mllmu/llava7b.py --checkpoint runs/llava7b/npo
python -m experiments.convert --from runs/llava7b/npo --to llava-unlearned-hf

The data follows after a colon: "full" (default), "published", or "small", a few generated people
to try the commands. Any folder of the LLaVA family can be used: --config.pretrained=FOLDER.
"""

from configs.mllmu import common
from configs.mllmu.paper import DATA


def get_config(arg: str = "full"):
    if arg not in DATA:
        raise ValueError(f"llava7b takes one of {DATA} after the colon, got {arg!r}")
    config = common.get_config()
    config.pretrained = "llava-1.5-7b-hf"
    config.processor.chat_format = "llava"  # the published prompt of the benchmark
    config.model = dict(dtype="bfloat16", remat="nothing")
    config.benchmark.update(config=arg, forget=5)
    config.rows.update(tokens=1024, supervised=256, answers=16)
    config.base = common.stage(epochs=0)
    recipe = dict(trainable="lora", warmup=10, decay="linear", rows=8)
    config.vanilla = common.stage(epochs=5, learning_rate=2e-4, **recipe)
    config.replay = False  # the decoder knows the celebrities as well as it ever did
    for name in ("ga", "grad_diff", "kl_min", "npo", *common.UNTUNED):
        config.methods[name].update(epochs=1, learning_rate=1e-4, **recipe)
    config.methods.rmu.options.layer = 7
    config.lora.update(rank=16, targets=r"decoder/layers/\w+$")
    if arg == "small":
        config.benchmark.limit.update(forget=3, retain=9, celebrity=3)
        config.vanilla.epochs = 2
    return config
