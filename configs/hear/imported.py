"""Sounds that somebody has, imported: :edansa, :audioset, :esc50, :folders or :packages.

python -m experiments.prepare --config configs/hear/imported.py:esc50 \
    --config.benchmark.source=ESC-50-master

The models are those of configs/hear/whisper_smol.py. The options are those of
``mllm.benchmarks.hear.importers.options.Options``.
"""

from ml_collections import ConfigDict

from configs.hear import whisper_smol

INSTALLED = "/usr/share"  # where Debian's packages are
sweep = whisper_smol.sweep


def get_config(kind: str = "esc50") -> ConfigDict:
    config = whisper_smol.get_config()
    packages = kind == "packages"
    config.benchmark.update(config=kind, source=INSTALLED if packages else "")
    config.benchmark.options = ConfigDict(
        dict(
            sounds="",
            leave_out=(),
            validation=0.0 if packages else 0.1,
            test=0.9 if packages else 0.1,
            rare=(),
            licence="",
        )
    )
    return config
