"""What every configuration of the study of large and small models has."""

from ml_collections import ConfigDict

from configs import common

stage = common.stage


def get_config() -> ConfigDict:
    """Return everything but the models."""
    config = common.get_config()
    # ``file``: a TSV file of VLMEvalKit, or a JSONL file, to ask instead of the generated items.
    config.benchmark.update(name="scale", config="tiny", file="")
    # The names of what is compared, the smallest first. Each has an entry in one of the next three
    # sections: models that are trained here (``model`` and ``schedule``), folders with published
    # weights, and endpoints (see ``endpoint``).
    config.compared = ()
    config.models = ConfigDict()
    config.folders = ConfigDict()
    config.endpoints = ConfigDict()
    config.evaluation.update(
        protocol="zero_shot",
        split="test",
        wordings=3,  # wordings and orders of the options in which each item is asked
        reply_tokens=32,
        # Whether options are also scored by their log-probabilities, which services do not give.
        logprobs=True,
        efficiency=True,
        pictures="native",  # "montage" shows all pictures of an item as one
    )
    return config


def sweep(config: ConfigDict):
    """Yield what is compared, then the baselines; of an endpoint there is no blind one."""
    shown = [name for name in config.compared if name not in config.endpoints]
    counted = [] if config.benchmark.file else ["majority"]
    blind = ["blind"] if shown else []
    for name in (*config.compared, "oracle", "random", *counted, *blind):
        yield {"objective.name": name}


def endpoint(url: str, model: str, **values) -> ConfigDict:
    """Return how a service in the format of OpenAI's chat completions is asked.

    The key is read from the environment variable ``key_variable`` and written to no file.
    ``replay`` answers from the answers on disk, without a call. Prices are per million tokens.
    """
    defaults = dict(
        key_variable="OPENAI_API_KEY",
        concurrency=4,
        patience={},
        limit_name="max_tokens",
        parameters={},
        prompt_price=0.0,
        completion_price=0.0,
        choices="letters",
        replay=False,
    )
    unknown = set(values) - set(defaults)
    if unknown:
        raise ValueError(
            f"endpoint() got unknown keys {sorted(unknown)}, known: {sorted(defaults)}"
        )
    return ConfigDict({"url": url, "model": model, **defaults, **values})
