"""Baselines that rank items by numbers, not by reading: stages of the study.

Each is asked what the language model is asked. Those that are trained learn from the same log and
are tuned on the same validation users, each by the same number of trials.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mllm.benchmarks.msr.baselines.answerer import Baseline
from mllm.benchmarks.msr.baselines.bpr import BPR
from mllm.benchmarks.msr.baselines.features import features as features_of
from mllm.benchmarks.msr.baselines.gru4rec import GRU4REC
from mllm.benchmarks.msr.baselines.log import held_out, training_log
from mllm.benchmarks.msr.baselines.popularity import popularity
from mllm.benchmarks.msr.baselines.recommender import Recommender, Shape
from mllm.benchmarks.msr.baselines.sasrec import SASREC
from mllm.benchmarks.msr.baselines.tuning import Trained, trials_of, tuned
from mllm.checkpoints.digest import weights_digest
from mllm.evaluation.request import Answerer
from mllm.registry import lookup
from mllm.studies.stage import Stage

__all__ = ["POPULARITY", "TRAINED", "WITH_FEATURES", "Baseline", "stages", "train"]

POPULARITY = "popularity"
TRAINED: dict[str, Recommender] = {"bpr": BPR, "gru4rec": GRU4REC, "sasrec": SASREC}
# The same with features of the items' pictures and texts.
WITH_FEATURES: dict[str, Recommender] = {"gru4rec_f": GRU4REC, "sasrec_f": SASREC}
NEGATIVES = 20  # of a validation user
SIZES = ("width", "length", "blocks", "heads")
FOLDER = "trained"

Features = Callable[[Any, Any], np.ndarray]


def stages(config, features: Features = features_of, parent: str | None = None) -> dict[str, Stage]:
    """Return the stages of the baselines that ``config.baselines`` lists, in its order.

    Args:
      config: ``baselines.<name>`` has the sizes ``SIZES``, the ``rows`` of a batch and the ``grid``
        whose combinations are the trials; that of "popularity" is empty.
      features: ``features(benchmark, model)`` returns float[N, D], for those of ``WITH_FEATURES``.
      parent: the stage whose model gives the features.

    Raises:
      ValueError: an unknown baseline, one that needs a parent and has none, or baselines with
        unequal numbers of trials.
    """
    known = {POPULARITY: None, **TRAINED, **WITH_FEATURES}
    found, trials = {}, {}
    for name, section in config.baselines.items():
        recommender = lookup(known, name, "baseline (config.baselines)")
        if recommender is None:
            found[name] = Stage(name, (), answerer=_popularity, method=True)
            continue
        if name in WITH_FEATURES and parent is None:
            raise ValueError(
                f"config.baselines lists {name!r}, whose features come from a model that reads "
                "pictures; name its stage, or leave the baseline out"
            )
        trials[name] = len(trials_of(section.grid))
        made = partial(_trained, name, recommender, config, features)
        found[name] = Stage(
            name,
            ("seed", f"baselines.{name}"),
            parent=parent if name in WITH_FEATURES else None,
            answerer=made,
            method=True,
        )
    if len(set(trials.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in trials.items())
        raise ValueError(
            f"config.baselines: unequal numbers of trials ({counts}); a comparison is fair only if "
            "every baseline is tuned as much: give their grids as many combinations"
        )
    return found


def train(
    name: str,
    recommender: Recommender,
    config,
    benchmark,
    folder: Path,
    features: np.ndarray | None = None,
) -> Trained:
    """Return a baseline, tuned and trained below ``folder`` unless it is there.

    Args:
      config: see ``stages``. features: float[N, D], None for a baseline without.
    """
    section = config.baselines[name]
    log = training_log(benchmark)
    held = held_out(
        log,
        benchmark.users("validation"),
        lambda user: benchmark.negatives_of(user, NEGATIVES, config.seed),
    )
    sizes = {size: section[size] for size in SIZES}
    width = 0 if features is None else features.shape[1]
    made_from = {"data": benchmark.fingerprint}
    if features is not None:
        values = np.ascontiguousarray(features, np.float32)
        made_from["features"] = hashlib.sha256(values.tobytes()).hexdigest()
    return tuned(
        name,
        recommender,
        Shape(len(log.items), len(log.users), **sizes, features=width),
        log,
        held,
        trials_of(section.grid),
        folder,
        rows=section.rows,
        seed=config.seed,
        features=features,
        made_from=made_from,
        save_every=config.checkpoint_every,
    )


def _popularity(benchmark, folder: Path, parent: Answerer | None) -> Answerer:
    log = training_log(benchmark)
    return Baseline(POPULARITY, benchmark, log, partial(popularity, log))


def _trained(
    name: str, recommender: Recommender, config, features: Features, benchmark, folder: Path, parent
) -> Answerer:
    values = None if parent is None else features(benchmark, parent)
    trained = train(name, recommender, config, benchmark, Path(folder) / FOLDER, values)
    named = {
        "weights": weights_digest(trained.variables),
        "trials": len(trained.trials),
        "options": trained.trials[trained.chosen]["options"],
    }
    scores = partial(recommender.scores, trained.shape, trained.variables)
    return Baseline(name, benchmark, training_log(benchmark), scores, named)
