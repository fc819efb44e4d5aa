"""What every configuration of CoBSAT has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage
BRACKETS = ("oracle", "view", "reconstructed", "random", "copy_last", "query_only")
CONTROLS = ("blind", "other_theta")


def get_config() -> ConfigDict:
    """Return everything but the models and their schedules."""
    config = common.get_config()
    config.benchmark.update(name="cobsat", config="tiny")
    config.processor.chat_format = "seed_llama"
    # Options of ``mllm.training.autoencoder``.
    config.autoencoder = ConfigDict(dict(beta=0.25, convention="standard"))
    config.tokeniser = stage(trainable="codec", augment="gentle")
    # Prompts that the drawer is taught, drawn at random: how many, with how many shots, how often
    # of each type, how many show the same shots, and of how many one is in text mode, where both
    # modes are asked.
    config.sequences = ConfigDict(
        dict(
            size=20_000,
            shots=(2, 4),
            weights=dict(
                default=4.0, instruct=1.0, misleading=1.0, exact=1.0, caption=1.0, cot=1.0
            ),
            group=8,
            described=4,
        )
    )
    # Conversations in which single pictures are described, and drawn from descriptions.
    config.named = ConfigDict(dict(size=1_000, pictures=12))
    config.drawer = stage(trainable="decoder", loss_on="pictures")
    # ``folder``: a Hugging Face folder of a vision-language model or of CLIP; "" teaches ``model``.
    config.judge = ConfigDict(dict(folder="", model=dict(), schedule=stage(augment="gentle")))
    # Fine-tuning on the published prompts (Zeng et al. 2024, and the repository's scripts).
    # ``theme`` is the one that leave_one_out leaves out; ask it with ``evaluation.data`` "ft_test"
    # and ``evaluation.tasks`` of that theme.
    config.finetuning = ConfigDict(
        dict(
            shots=(2,),
            types=("default",),
            theme="color",
            schedule=stage(
                trainable="lora",
                epochs=5,
                rows=8,
                accumulation=8,
                learning_rate=1e-5,
                warmup=30,
                weight_decay=0.1,
                b2=0.95,
            ),
        )
    )
    config.lora.update(rank=64, targets=r"decoder/layers/(q|k|v|o)$", dropout=0.05)
    config.lora.alpha = 16.0
    config.evaluation.update(
        protocol="rounds",
        data="default",
        tasks=tuple(range(1, 11)),
        shots=(2, 4, 6, 8),
        types=("default", "instruct", "misleading", "exact", "caption", "cot"),
        modes=("image", "text"),
        prompts=0,  # of each task and number of shots; 0 is all
        fewer=0,  # of these, how many are asked in the types after the first; 0 is all
        seed=0,
        image_style="seed",
        text_style="llava",
        reply_tokens=64,
        analysis_tokens=128,
        drawing=ConfigDict(
            dict(temperature=0.0, top_k=0, top_p=1.0, seed=0, words="", guidance=0.0, contrast=0.0)
        ),
        # "taught" is of a judge that is taught here, "numbers" and "reply" are of any other one,
        # "clip" and "clip_words" of CLIP; no ``forms`` ask no judge.
        judge=ConfigDict(dict(cut="paper", forms=("taught",), modes=("image",), tokens=4)),
    )
    return config


def sweep(config: ConfigDict):
    """Yield the drawer, then what brackets it."""
    for name in ("drawer", *BRACKETS, *CONTROLS):
        yield {"objective.name": name}
