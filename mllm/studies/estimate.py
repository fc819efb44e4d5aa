"""How much a planned run takes: steps, bytes of checkpoints, and time where one like it ran."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import jax
import optax

from mllm.checkpoints.folder import describe_model
from mllm.checkpoints.loaded import Loaded
from mllm.checkpoints.pretrained import PRETRAINED
from mllm.data.conversation import Example
from mllm.data.pipeline import Pipeline
from mllm.files import read_json
from mllm.ops.lora import init_lora
from mllm.studies.beginning import changed
from mllm.studies.examples import make_pipeline
from mllm.studies.identity import value_of
from mllm.studies.plan import FINISHED, Planned
from mllm.studies.run import RECORD
from mllm.studies.stage import seed_of
from mllm.studies.start import described_model
from mllm.studies.system import System
from mllm.studies.train import make_optimizer
from mllm.studies.weights import what_trains

KEPT = 2  # checkpoints of a run that stay
# What encoding examples reads of a stage's schedule.
ENCODING = ("loss_on", "end_token", "split", "augment", "share_text", "row_tokens",
            "row_supervised", "sounds")  # fmt: skip
METHODS = ("objective", "methods")  # sections of a configuration that say how methods train


@dataclass(frozen=True)
class Work:
    """What a run takes.

    Attributes:
      steps: of the whole run, 0 if nothing trains.
      bytes: on disk, of its checkpoints.
      seconds: of the steps that are left, None if no run like it has ended nearby.
    """

    steps: int = 0
    bytes: int = 0
    seconds: float | None = None


@dataclass
class Estimates:
    """Estimates of the runs of a plan; what several runs share is computed for the first of them.

    Attributes:
      benchmark: that the runs learn from.
      nearby: run.json of finished runs around the plan's.
    """

    benchmark: Any
    nearby: list[Mapping[str, Any]]

    def __post_init__(self):
        self._models: dict[Path, Loaded] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._steps: dict[tuple[str, str, int], int] = {}
        self._asked: dict[str, int] = {}

    def of(self, planned: Planned) -> Work:
        """Return what a run takes.

        Raises:
          ValueError, FileNotFoundError: it cannot be trained as its configuration says.
        """
        stage, run = planned.stage, planned.run
        if planned.state == FINISHED or stage.schedule is None:
            return Work()
        if stage.inquiry is not None:
            raise ValueError("what it learns from follows from answers of other models")
        source = stage.examples(self.benchmark) if stage.trains else ()
        if not source:
            return Work()
        start = self._start(planned)
        steps = self._steps_of(planned, start, source)
        rate = self._seconds_a_step(planned)
        seconds = None if rate is None else rate * (steps - planned.done)
        saved = min(KEPT, -(-steps // run.config.checkpoint_every))
        return Work(steps, saved * checkpoint_bytes(planned, start), seconds)

    def _steps_of(self, planned: Planned, start: Loaded, source: Sequence[Example]) -> int:
        """Return the updates of a stage. Examples are encoded once for all stages that share them,
        and packed into rows once for those that draw the same rows.
        """
        stage, config = planned.stage, planned.run.config
        schedule, objective = stage.schedule, stage.objective
        seed = seed_of(planned.stages, stage.name, config.seed)
        made = partial(make_pipeline, config, schedule, start, source, objective, seed)
        if objective.rows == "media":
            return made().steps(schedule.epochs)
        key = _key_of_examples(planned, start)
        drawn = {
            "rows": schedule.rows,
            "seed": seed,
            "schedule": objective.rows,
            "primary": objective.primary,
            "roles": objective.roles,
            "alike": schedule.alike,
        }
        known = (key, repr(drawn), schedule.epochs)
        if known not in self._steps:
            if key not in self._pipelines:
                self._pipelines[key] = made()
            pipeline = replace(self._pipelines[key], **drawn, _plans={}, _starts=[0])
            self._steps[known] = pipeline.steps(schedule.epochs)
        return self._steps[known]

    def requests(self, system: System, planned: Planned, config) -> int:
        """Return how many requests an evaluation of a run begins with. Runs that differ only in how
        methods train are asked the same.

        Args:
          config: of the evaluation.

        Raises:
          ValueError, FileNotFoundError: it cannot be asked as the configuration says.
        """
        family = self.family(planned)
        read = {key: value for key, value in config.to_dict().items() if key not in METHODS}
        key = json.dumps([family, read], sort_keys=True, default=repr)
        if key not in self._asked:
            questions = system.questions(config, self.benchmark, family)
            self._asked[key] = len(next(questions.rounds))
        return self._asked[key]

    def family(self, planned: Planned) -> str:
        """Return the family of a run's model, "" if it has none of its own."""
        return "" if planned.stage.answerer is not None else self.model(planned).family

    def model(self, planned: Planned) -> Loaded:
        """Return a run's model as it will be, without its weights."""
        folder = planned.run.folder
        if folder not in self._models:
            done = planned.state == FINISHED and planned.stage.answerer is None
            self._models[folder] = describe_model(folder) if done else self._start(planned)
        return self._models[folder]

    def _start(self, planned: Planned) -> Loaded:
        stage, config = planned.stage, planned.run.config
        if planned.above is not None:
            return changed(self.model(planned.above), stage)
        if stage.schedule is not None:
            return described_model(config, self.benchmark, stage.model)
        name, model = stage.pretrained or config.pretrained, config.model.to_dict()
        if name in PRETRAINED:
            return _without_weights(
                partial(PRETRAINED[name], model, config.processor.to_dict(), config.seed)
            )
        loaded = describe_model(Path(name))
        if (chat := config.processor.chat_format) is not None:
            loaded = replace(loaded, processor=loaded.processor.with_chat_format(chat))
        return loaded

    def _seconds_a_step(self, planned: Planned) -> float | None:
        """Return the pace of finished runs of the same method, or of others that train alike."""
        same, alike = [], []
        for record in self.nearby:
            cost, other = record.get("cost", {}), record.get("method")
            if not cost.get("steps") or not cost.get("seconds") or other not in planned.stages:
                continue
            pace = cost["seconds"] / cost["steps"]
            if other == planned.run.method:
                same.append(pace)
            elif _alike(planned.stages[other].schedule, planned.stage.schedule):
                alike.append(pace)
        return median(same or alike) if same or alike else None


def _without_weights(make: Callable[[], Loaded]) -> Loaded:
    """Return a model that is assembled without compiling or computing what is random in it."""
    made = []

    def build() -> int:
        made.append(replace(make(), variables={}))
        return 0

    jax.eval_shape(build)
    return made[0]


def _key_of_examples(planned: Planned, start: Loaded) -> str:
    """Return what the encoded examples of a stage follow from, by the keys it depends on."""
    stage, config = planned.stage, planned.run.config
    schedule = stage.schedule.to_dict()
    values = {key: value_of(config, key) for key in stage.depends_on if key not in ("seed", "lora")}
    chosen = {key: value for key, value in values.items() if value != schedule}
    function = getattr(stage.examples, "func", stage.examples)
    others = getattr(stage.examples, "args", ())[1:]  # without the configuration
    ways = [schedule[key] for key in ENCODING]
    return repr((function, others, chosen, ways, config.rows.to_dict(), start.processor.digest))


def _alike(one, other) -> bool:
    return one is not None and all(
        one[key] == other[key] for key in ("trainable", "rows", "accumulation", "augment")
    )


def finished_records(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Return run.json of the finished runs of studies."""
    records = []
    for path in (path for folder in folders for path in sorted(folder.glob(f"*/{RECORD}"))):
        try:
            record = read_json(path)
        except (ValueError, FileNotFoundError):
            continue
        if record.get("status") == "finished":
            records.append(record)
    return records


def checkpoint_bytes(planned: Planned, start: Loaded) -> int:
    """Return how large a checkpoint of a run is: what trains, in float32, and its optimizer."""
    schedule, lora = planned.stage.schedule, planned.run.config.lora
    adapter, optimizer = (lora.rank, lora.targets), make_optimizer(schedule)
    return _bytes_of(start.model, start.config, schedule.trainable, adapter, optimizer)


@lru_cache(maxsize=64)
def _bytes_of(
    model, shape, trainable: str, adapter: tuple[int, str], optimizer: optax.GradientTransformation
) -> int:
    params = jax.tree.map(_in_float32, model.abstract(shape)["params"])
    parts, adapts = what_trains(trainable, params)
    trains = {"params": {name: params[name] for name in parts}} if parts else {}
    if adapts:
        rank, targets = adapter
        adapted = partial(init_lora, rank=rank, targets=targets)
        trains["lora"] = jax.eval_shape(adapted, params, jax.random.key(0))
    held = jax.eval_shape(optimizer.init, trains)
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves((trains, held)))


def _in_float32(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, "float32")
