"""Which runs of a study can be trained as one program: adapters of one shape over the same weights,
that learn from the same batches.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mllm.data.conversation import Example
from mllm.studies.identity import value_of
from mllm.studies.plan import BEGINS, FINISHED, GOES_ON, Plan
from mllm.studies.run import Run
from mllm.studies.stage import Stage, find, seed_of
from mllm.studies.system import System
from mllm.studies.train import ensure
from mllm.training.together import can_train_together

# Of a schedule, what may differ: numbers of the optimizer's state, and options of the objective.
FREE = ("learning_rate", "warmup", "options")


@dataclass(frozen=True)
class Member:
    """A run that is to be made, and that can be trained with others.

    Attributes:
      frame: of ``mllm.studies.alike.frame_of``.
      source: what it is made from, of ``mllm.studies.identity.made_from``.
      parents: finished runs of ``Stage.parents``.
      seed: of the draws of rows and views.
    """

    run: Run
    stage: Stage
    frame: Mapping[str, Any]
    source: Mapping[str, Any]
    parents: tuple[Run, ...]
    seed: int

    @property
    def done(self) -> int:
        """Steps of the last checkpoint."""
        return self.run.saved() or 0

    def alike(self, other: "Member") -> bool:
        """Return whether two runs can go on together."""
        known = [
            (one.frame, one.source["parents"], one.source.get("processors"), one.done)
            for one in (self, other)
        ]
        return known[0] == known[1] and self.run.folder != other.run.folder


def member_of(
    config, workdir: Path, system: System, benchmark, like: Member | None = None
) -> Member | None:
    """Return the run of a configuration, None if it is finished or is not to be trained with
    others.

    Args:
      like: a run that it is to be like; without one, the runs that it starts from are made first,
        with one only those that are imported.
    """
    name, stages = config.objective.name, system.stages(config)
    stage = find(stages, name)
    frame = frame_of(stage, config)
    if frame is None or (like is not None and frame != like.frame):
        return None
    for other in stage.parents:
        imports = stages[other].schedule is None and stages[other].answerer is None
        if like is None or imports:
            ensure(other, config, workdir, system, benchmark)
    planned = Plan(system, benchmark).add(name, config, workdir)
    ready = all(parent.state == FINISHED for parent in planned.parents)
    if planned.state not in (BEGINS, GOES_ON) or not ready:
        return None
    labels = {**system.labels(config), "split": system.part(config)}
    run, parents = replace(planned.run, labels=labels), tuple(one.run for one in planned.parents)
    return Member(run, stage, frame, planned.source, parents, seed_of(stages, name, config.seed))


def frame_of(stage: Stage, config) -> dict[str, Any] | None:
    """Return what runs that are trained together have in common, besides the data and the weights
    that they start from; None of a stage that is trained alone.

    It is all that the weights depend on but the seed and ``FREE``, and which rows the objective
    sees.
    """
    schedule, objective = stage.schedule, stage.objective
    alone = (
        schedule is None
        or not stage.trains
        or stage.parent is None
        or schedule.trainable != "lora"
        or schedule.accumulation != 1
        or config.lora.dropout
        or stage.inquiry is not None
        or bool(stage.fresh)
        or objective.rows == "media"
        or not can_train_together(objective)
    )
    if alone:
        return None
    own = schedule.to_dict()
    others = {key: value_of(config, key) for key in stage.depends_on if key != "seed"}
    return {
        "parent": stage.parent,
        "changes": dict(stage.changes),
        "config": {key: value for key, value in others.items() if value != own},
        "schedule": {key: value for key, value in own.items() if key not in FREE},
        "every": (config.checkpoint_every, config.log_every),
        "mesh": config.mesh.to_dict(),
        "rows": (objective.rows, dict(objective.roles), objective.primary, objective.twin),
        "reference": (objective.reference, objective.layer),
        "answers": (objective.refuses, objective.system_prompt),
    }


def same_options(one: Stage, two: Stage) -> bool:
    """Return whether two stages have the same objective with the same options."""
    options = [stage.schedule.to_dict().get("options") for stage in (one, two)]
    return one.name == two.name and options[0] == options[1]


def same_examples(one: Sequence[Example], two: Sequence[Example]) -> bool:
    """Return whether two sources hold the same conversations in the same order."""
    return len(one) == len(two) and all(a == b for a, b in zip(one, two, strict=True))
