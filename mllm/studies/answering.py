"""Finished runs as answerers: the model of a run as it is evaluated, and one that many runs ask."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mllm.checkpoints.features import FOLDER
from mllm.checkpoints.folder import describe_model, load_model
from mllm.checkpoints.loaded import Loaded
from mllm.decoding.split import split_for_decoding
from mllm.evaluation.kept_answers import Kept
from mllm.evaluation.request import Answerer
from mllm.evaluation.runner import LocalModel
from mllm.ops.kv import FORMS as KV_FORMS
from mllm.ops.quant import quantise
from mllm.parallel.place import place
from mllm.registry import lookup
from mllm.studies.run import UNVERIFIED, Run
from mllm.studies.start import device_mesh

FORMS = {"": lambda variables: variables, "int8": partial(quantise, donate=True)}
ANSWERS = "answers"  # folder of a run with what its model answered to other runs


def load_for_evaluation(run: Run, config) -> Loaded:
    """Return a run's model, its layers apart and its matrices in ``config.evaluation.weights``; it
    keeps keys and values in ``config.evaluation.kv``.
    """
    form = lookup(FORMS, config.evaluation.weights, "weights (config.evaluation.weights)")
    kv = config.evaluation.kv
    if kv:
        lookup(KV_FORMS, kv, "keys and values (config.evaluation.kv)")
    mesh = device_mesh(config)
    # Merged, every run of a study is evaluated by the programs that were compiled for the first.
    loaded = load_model(run.folder, mesh=mesh).merged(mesh)
    variables = split_for_decoding(place(form(loaded.variables), mesh), donate=True)
    return replace(_keeping(loaded, kv), variables=variables)


def _keeping(loaded: Loaded, kv: str) -> Loaded:
    shape = replace(loaded.config, decoder=replace(loaded.config.decoder, kv_form=kv))
    return replace(loaded, config=shape)


def local_model(
    loaded: Loaded, config, refuse_long: bool = True, folder: Path | None = None
) -> LocalModel:
    """Return a model as an answerer, which asks as a configuration says.

    Args:
      folder: of its study, where the features of pictures are kept; None keeps none on disk.
    """
    chosen, features = config.evaluation, None if folder is None else folder / FOLDER
    options = {"weights": chosen.weights, "rows": chosen.rows, "refuse_long": refuse_long}
    return LocalModel(loaded, **options, folder=features)


def kept_model(run: Run, config, refuse_long: bool = True) -> Kept:
    """Return the model of a finished run as an answerer whose replies lie in the run's folder; its
    weights are read when something new is asked.
    """
    described = _keeping(describe_model(run.folder), config.evaluation.kv)

    def make() -> LocalModel:
        loaded = load_for_evaluation(run, config)
        return local_model(loaded, config, refuse_long, run.folder.parent)

    return kept(run, local_model(described, config).identity, make)


def kept(run: Run, identity: Mapping[str, Any], make: Callable[[], Answerer]) -> Kept:
    """Return an answerer of a finished run whose replies lie in the run's folder.

    Args:
      identity: of the answerer that ``make`` returns.
    """
    record = run.record()
    named = {"checkpoint_digest": record["checkpoint_digest"], "answerer": dict(identity)}
    if record.get(UNVERIFIED, False):
        named[UNVERIFIED] = True
    return Kept(named, make, run.folder / ANSWERS)
