"""What a command is going to do: its runs in order, what they start from, what is there already.

A plan reads records and writes nothing. It finds at once what would otherwise stop a study after
hours: a folder that holds another run, weights that are not there, two runs for one folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mllm.checkpoints.parents import has_parent
from mllm.studies.identity import describe, differences, identity, made_from
from mllm.studies.run import Run, open_run
from mllm.studies.stage import Stage, Stages, find, folder_name
from mllm.studies.start import imported_by
from mllm.studies.system import System
from mllm.training.diverged import Diverged

FINISHED, GOES_ON, BEGINS, STOPPED = "finished", "goes on", "begins", "stopped"
GIVEN_UP = "given up"


@dataclass(frozen=True)
class Planned:
    """One run of a plan.

    Attributes:
      run, stages: the run, and the graph of its study.
      parents: what it needs, as ``Stage.parents``.
      source: what it is made from (``mllm.studies.identity.made_from``). Weights that are still to
        be made stand there under the identity of their run.
      state: FINISHED; GOES_ON, from a checkpoint; BEGINS; STOPPED, by an error; or GIVEN_UP: it, or
        a run that it needs, has diverged, and a sweep passes over it.
      note: what else is to be said.
      done: steps of the last checkpoint.
      error: what stops it, or why it was given up.
    """

    run: Run
    stages: Stages
    parents: tuple["Planned", ...]
    source: Mapping[str, Any]
    state: str
    note: str = ""
    done: int = 0
    error: Exception | None = None

    @property
    def stage(self) -> Stage:
        """The stage that it is a run of."""
        return find(self.stages, self.run.method)

    @property
    def above(self) -> "Planned | None":
        """The run whose weights it starts from; None for new weights."""
        return self.parents[0] if self.stage.parent else None

    @cached_property
    def digest(self) -> str:
        """The digest of its weights; that of what they are made from before they are there."""
        if self.state == FINISHED and not self.note:
            return self.run.record()["checkpoint_digest"]
        return identity(self.source)

    def origin(self) -> str:
        """Return what becomes of which weights, as a phrase."""
        stage, above = self.stage, self.above
        if stage.answerer is not None:
            return f"asks {above.run.method}" if above else "answers without weights"
        if stage.schedule is None:
            return f"takes the weights of {stage.pretrained or self.run.config.pretrained}"
        if stage.prunes and above:
            return f"removes neurons of {above.run.method}"
        if not stage.trains:
            return f"takes the weights of {above.run.method}" if above else "has nothing to train"
        start = above.run.method if above else "random weights"
        return f"trains {stage.schedule.trainable} from {start}"


@dataclass
class Plan:
    """The runs of a command, each after those that it needs.

    Attributes:
      benchmark: what they learn from; None if it has not been prepared.
    """

    system: System
    benchmark: Any = None
    runs: dict[Path, Planned] = field(default_factory=dict)

    def add(self, name: str, config, workdir: Path, *, folder: Path | None = None) -> Planned:
        """Add a run after those that it needs, as ``mllm.studies.train.ensure`` makes them.

        Raises:
          ValueError: another run of the plan goes into the same folder.
        """
        return self._add(name, self.system.stages(config), config, workdir, folder)

    def _add(
        self, name: str, stages: Stages, config, workdir: Path, folder: Path | None = None
    ) -> Planned:
        """Add a run of a graph, which is built once for the run and those that it needs."""
        stage = find(stages, name)
        run = Run(folder or workdir / folder_name(stages, name), name, config)
        parents = tuple(self._add(other, stages, config, workdir) for other in stage.parents)
        others = [self._add(other, stages, config, workdir) for other in stage.asks_of_others]
        given_up = [one.error for one in (*parents, *others) if one.state == GIVEN_UP]
        digests = {parent.run.method: parent.digest for parent in parents}
        error = None
        try:
            files = imported_by(stage, config)
        except (ValueError, FileNotFoundError) as found:
            files, error = {}, found
        processors = None
        if all(parent.state == FINISHED for parent in parents):
            read_with = {parent.run.method: parent.run.processor_digest() for parent in parents}
            processors = {name: found for name, found in read_with.items() if found}
        source = made_from(stage, config, self._fingerprint(run), digests, files, processors)
        if (known := self.runs.get(run.folder)) is not None:
            if found := differences({"made_from": known.source}, source):
                lines = [
                    f"{run.folder}: two runs of this command go there, {known.run.method!r} and "
                    f"{name!r}; they differ in:",
                    *describe(found),
                    "Give one of them a folder of its own, such as by config.objective.variant",
                ]
                raise ValueError("\n".join(lines))
            return known
        if error is not None:
            planned = Planned(run, stages, parents, source, STOPPED, error=error)
        elif given_up:
            planned = Planned(run, stages, parents, source, GIVEN_UP, error=given_up[0])
        else:
            planned = _planned(run, stages, parents, source)
        self.runs[run.folder] = planned
        return planned

    def add_finished(self, folder: Path, config) -> Planned:
        """Add the finished run of a folder.

        Raises:
          FileNotFoundError, ValueError: there is none, or it is not one for the questions of the
            configuration.
        """
        run = open_run(folder, config, getattr(self.benchmark, "fingerprint", None))
        stages = self.system.stages(config)
        run.require_asked_as_made(find(stages, run.method))
        source = run.record().get("made_from", {"parents": {}})
        self.runs[folder] = planned = Planned(run, stages, (), source, FINISHED)
        return planned

    def _fingerprint(self, run: Run) -> str:
        """Return that of the data; before it is there, what the run's record says of it."""
        if self.benchmark is not None:
            return self.benchmark.fingerprint
        return run.record().get("data_fingerprint", "")

    def require(self) -> None:
        """Check that nothing stops the command.

        Raises:
          ValueError, FileNotFoundError: the error of the first run that cannot be made.
        """
        for planned in self.runs.values():
            if planned.state == STOPPED:
                raise planned.error

    def announcement(self) -> list[str]:
        """Return a line about each run that is to be made, [] if all are there."""
        made = [one for one in self.runs.values() if one.state not in (FINISHED, GIVEN_UP)]
        lines = [f"{planned.run.folder}: {phrase(planned)}" for planned in made]
        return [f"{len(made)} of {len(self.runs)} runs are to be made:", *lines] if made else []


def phrase(planned: Planned) -> str:
    """Return what is done about a run."""
    if planned.state == FINISHED:
        return f"finished{planned.note}"
    if planned.state == GIVEN_UP:
        return f"is passed over: {planned.error}"
    if planned.state == STOPPED:
        return f"cannot be made: {planned.error}"
    if planned.state == GOES_ON:
        return f"{planned.origin()}, goes on from step {planned.done}"
    return f"{planned.origin()}{planned.note}"


def _planned(
    run: Run, stages: Stages, parents: tuple[Planned, ...], source: dict[str, Any]
) -> Planned:
    """Return what is to be done about a run, from what its folder holds."""
    record = run.record()
    known = record.get("made_from", {}).get("parents", {})
    pending = [p.run.method for p in parents if p.digest != p.run.record().get("checkpoint_digest")]
    likely = dict(source)  # weights that are still to be made may come out as they were
    likely["parents"] = {
        name: known.get(name, digest) if name in pending else digest
        for name, digest in source["parents"].items()
    }
    try:
        # An import of the same files is made again where they are now.
        here = "imported" not in source
        finished = run.finished(likely) and (here or has_parent(run.folder))
    except Diverged as error:
        return Planned(run, stages, parents, source, GIVEN_UP, error=error)
    except ValueError as error:
        return Planned(run, stages, parents, source, STOPPED, error=error)
    if finished:
        weights = " and ".join(pending)
        note = f", if the weights of {weights} come out as before" if pending else ""
        return Planned(run, stages, parents, source, FINISHED, note)
    if done := run.saved():
        return Planned(run, stages, parents, source, GOES_ON, done=done)
    note = ""
    found = [one for one in differences(record, likely) if not one.key.startswith("processors.")]
    if record and found:
        changed = "; ".join(line.strip() for line in describe(found))
        note = f", in place of an attempt that got to no checkpoint ({changed})"
    return Planned(run, stages, parents, source, BEGINS, note)
