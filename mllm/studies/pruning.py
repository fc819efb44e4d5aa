"""Make a run whose method removes neurons of the decoder and trains nothing (``Stage.prunes``)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mllm.checkpoints.digest import weights_digest
from mllm.checkpoints.folder import write_description
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.orbax import Checkpoints
from mllm.data.conversation import Example
from mllm.parallel.place import fetch, place, place_rows
from mllm.studies.examples import make_pipeline
from mllm.studies.run import Run
from mllm.studies.stage import Stage
from mllm.studies.start import device_mesh
from mllm.training.neurons import mean_activity, without_neurons
from mllm.training.progress import tell


def prune_stage(
    run: Run,
    stage: Stage,
    start: Loaded,
    source: Sequence[Example],
    *,
    parent: Path,
    seed: int,
    begin: Callable[[], None],
) -> None:
    """Remove the neurons that ``Objective.prune`` chooses into a run's folder, which then holds the
    decoder's parameters; everything else stays in its parent's.

    Args:
      start: the model that it starts from. source: what neurons are compared on.
      parent: the folder of ``start``. seed: of the draws of rows, which do not matter here.
      begin: claims the folder, once the inputs have been looked at.

    Raises:
      ValueError: there is no example of a role that the objective reads.
    """
    mesh, objective = device_mesh(run.config), stage.objective
    start = start.merged(mesh)
    pipeline = make_pipeline(run.config, stage.schedule, start, source, objective, seed)
    activity = {}
    for role in objective.roles:
        batches = (place_rows(batch, mesh) for batch in pipeline.once_over(role))
        found = mean_activity(
            start.model, start.config, start.variables, batches, objective.activity, mesh=mesh
        )
        if not found:
            raise ValueError(
                f"{run.method}: compares what neurons do on examples of several roles, but there "
                f"is none of {role!r}; choose splits that have some"
            )
        activity[role] = {
            kind: {name: fetch(value) for name, value in values.items()}
            for kind, values in found.items()
        }
    begin()
    removed = np.asarray(objective.prune(activity))
    params = start.variables["params"]
    changed = {**params, "decoder": without_neurons(params["decoder"], removed)}
    pruned = replace(start, variables=place({"params": changed}, mesh))
    described = replace(pruned, variables={})
    write_description(
        run.folder, described, collections=["params"], parts=["decoder"], parent=parent
    )
    with Checkpoints(run.folder / "checkpoints") as checkpoints:
        if checkpoints.latest() is None:
            kept = {"decoder": pruned.variables["params"]["decoder"]}
            checkpoints.save(0, {"params": kept}, {"method": run.method})
    tell(f"{run.method}: {removed.sum()} of {removed.size} neurons removed")
    run.write(
        "finished",
        checkpoint_digest=weights_digest(pruned.variables),
        parent=f"../{parent.name}",
        cost={**run.cost(pruned, 0), "removed_neurons": int(removed.sum())},
    )
