"""What the configurations of MLLMU-Bench have in common."""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import common
from configs.common import stage

# The term that keeps what is to be retained: "none", "nll" or "kl" (``mllm.unlearning.retain``).
NO_RETAIN = dict(keep="none", retain_weight=1.0)

# Methods whose rates were not chosen on validation profiles.
UNTUNED = (
    "simnpo",
    "wga",
    "satimp",
    "undial",
    "ce_u",
    "kl_uniform",
    "rmu",
    "scrub",
    "idk",
    "dpo",
    "task_vector",
    "pdu",
    "mmunlearner",
    "pava",
)

__all__ = ["UNTUNED", "get_config", "method", "stage"]


def method(options: dict | None = None, **values) -> ConfigDict:
    """Return a stage of unlearning with the options of its objective (see ``mllm.unlearning``)."""
    config = stage(**values)
    config.options = ConfigDict(options or {})
    return config


def get_config() -> ConfigDict:
    """Return everything but the model; see ``configs/mllmu/tiny.py`` for a whole one."""
    config = common.get_config()
    # Tuning teaches the validation profiles too and forgets those: no reported forget or test
    # question is ever asked.
    config.tuning = False
    # Training pictures: "upright" as everywhere else, or "published" as the published loader sees
    # them (docs/protocol.md).
    # Training pairs that methods unlearn from: "both", or only those with a picture ("image_text")
    # or without ("text").
    config.benchmark.update(name="mllmu", forget=15, pictures="upright", modality="both")
    # Take the first few of each group, 0 for all; for models that are too slow for all of them.
    config.benchmark.limit = ConfigDict(dict(forget=0, retain=0, celebrity=0, captions=0))
    # Teaching: base -> vanilla, and base -> retain_only with the schedule of vanilla, over as many
    # epochs unless others are given.
    config.base = stage()
    config.vanilla = stage()
    config.retain_only_epochs = placeholder(int)
    # Whether vanilla and retain_only keep seeing the public figures, so as not to forget them.
    config.replay = True
    config.objective.name = "npo"
    config.methods = ConfigDict(
        dict(
            ga=method(),
            grad_diff=method(dict(retain_weight=1.0, order="joint")),
            kl_min=method(
                dict(retain_weight=1.0, kl_weight=1.0, kl_reduction="per_token", order="joint")
            ),
            npo=method(dict(beta=0.1, form="sequence", keep="nll", retain_weight=0.0)),
            prompting=method(),
            simnpo=method(dict(beta=4.5, margin=0.0, form="paper", **NO_RETAIN)),
            wga=method(dict(beta=1.0, form="paper", **NO_RETAIN)),
            satimp=method(dict(beta1=5.0, beta2=1.0, form="paper", **NO_RETAIN)),
            undial=method(dict(beta=10.0, **NO_RETAIN)),
            ce_u=method(dict(skip=0, **NO_RETAIN)),
            kl_uniform=method(dict(direction="to_uniform", **NO_RETAIN)),
            rmu=method(
                dict(layer=2, length=2.0, form="paper", keep="states", retain_weight=1.0, seed=0)
            ),
            scrub=method(dict(retain_weight=1.0, kl_weight=1.0, order="joint")),
            idk=method(dict(keep="nll", retain_weight=1.0)),
            dpo=method(dict(beta=0.1, form="paper", **NO_RETAIN)),
            task_vector=method(dict(scale=1.0)),
            pdu=method(dict(limit=0.1, multiplier=1.0, pace=1.0, warmup=0)),
            # Trains nothing: of its schedule only the rows matter, those of a pass at a time.
            manu=method(dict(share=0.05, loud=0.1, layers=0, form="paper")),
            pava=method(dict(beta=0.1, anchor_weight=3.0)),
            mmunlearner=method(dict(threshold=1.0, form="paper", keep="nll", retain_weight=1.0)),
        )
    )
    config.evaluation.update(
        protocol="strict", classification_tokens=16, cloze_tokens=16, generation_tokens=48
    )
    # The strict protocol asks "all", or only for the "options" of multiple choices, by their text.
    config.evaluation.asks = "all"
    # Whether right and wrong answers are also measured token by token, next to the replies: truth
    # ratios, memorisation, membership inference (docs/measures.md).
    config.evaluation.measures = False
    # With ``measures``, whether the norms of the gradients of answers are measured too: memory for
    # a second copy of the weights, and the time of a training step for each question.
    config.evaluation.gradients = False
    # Whether the run ``base`` of the study says how likely the free sentences of each run are.
    config.evaluation.likelihood = False
    # Who judges free replies, joined by "+": facts, rouge, embedding, endpoint; "" for none. The
    # options of judges are those of ``mllm.evaluation.judging.judges.JudgeOptions``
    # (docs/judges.md).
    config.evaluation.judges = ""
    config.evaluation.judging = ConfigDict(
        dict(
            rouge=0.5,
            similar=0.5,
            encoder_dir="",
            url="https://api.openai.com/v1",
            model="",
            key_variable="OPENAI_API_KEY",
            limit_name="max_tokens",
            parameters=ConfigDict(),
            concurrency=4,
            replay=False,
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
            pictures="published",
            parse="whole",
            choice_rule="first_char",
            generation_trailing_space=True,
            max_new_tokens=50,
            text_choice_tokens=placeholder(int),
            overflow="refuse",
        )
    )
    return config
