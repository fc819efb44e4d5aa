"""Any Hugging Face folders and endpoints, side by side.

python -m experiments.sweep --config configs/scale/folders.py:smolvlm,llava-1.5-7b-hf \
    --workdir runs/folders
python -m experiments.sweep \
    --config configs/scale/folders.py:smolvlm,gpt=https://api.openai.com/v1@gpt-4o \
    --workdir runs/folders

After the colon comes a list with commas, the smallest model first: paths of folders (PATH or
NAME=PATH) and endpoints (NAME=URL@MODEL). The key of an endpoint is read from the
environment variable OPENAI_API_KEY; --config.endpoints.NAME.key_variable names another one.
"""

from pathlib import Path

from ml_collections import ConfigDict

from configs.scale import common

sweep = common.sweep


def get_config(arg: str = "") -> ConfigDict:
    config = common.get_config()
    config.benchmark.config = "small"
    config.model.dtype = "bfloat16"
    names = []
    for entry in filter(None, arg.split(",")):
        name, given, place = entry.partition("=")
        if "@" in place and "://" in place:
            url, _, model = place.rpartition("@")
            config.endpoints[name] = common.endpoint(url, model)
            config.evaluation.logprobs = False  # all are read by their replies
        else:
            path = place if given else name
            name = (name if given else Path(path).name).replace(".", "_")
            config.folders[name] = path
        names.append(name)
    config.compared = tuple(names)
    return config
