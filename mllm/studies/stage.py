"""The graph of a study: its stages, what each starts from, and all that follows from it.

A system gives its stages as a mapping from name to ``Stage`` in the order in which they are run.
Parents, order, random streams and folder names follow from the mapping, and the identity of a run
(``mllm.studies.identity``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from mllm.data.conversation import Example
from mllm.evaluation.request import Answerer, Rounds
from mllm.registry import lookup
from mllm.training.objective import Objective

PARENT = "parent"  # an objective whose reference is the model that training starts from


@dataclass(frozen=True)
class Stage:
    """One step of a study, which turns the weights of its parent into its own.

    Attributes:
      name: names the stage in commands, records and results.
      depends_on: dotted keys of the configuration that the weights depend on, besides the data and
        the weights of the parents.
      parent: the stage whose weights it starts from; None for random weights.
      model: of random weights, a section with family and sizes; None for ``config.model``.
      pretrained: what to import where there is neither a schedule nor an answerer; "" for
        ``config.pretrained``.
      changes: dotted fields of the parent's model configuration, such as "fusion.gate", that the
        stage sets; its parameters stay the same in number, name and shape.
      fresh: names of parts of the parent's parameters that are drawn anew before they train.
      own_format: whether imported weights keep the chat format of their folder, whatever
        ``config.processor.chat_format`` says.
      schedule: how it trains, a section made by ``configs.common.stage``; None for a stage that
        imports weights.
      objective: what is minimised; None where nothing trains.
      examples: returns the conversations to learn from, of an opened benchmark, and, if there is an
        ``inquiry``, of the requests of that with their replies.
      inquiry: returns what is asked before it trains, of an opened benchmark; the model of each
        request is one of ``consults``.
      consults: stages whose finished models answer the inquiry, so that its weights depend on
        theirs. What they answer lies in their folders and is asked once.
      answerer: makes what answers in place of a model with weights of its own, such as a baseline
        or a service, from the opened benchmark, the run's folder and the parent's model.
      through: returns what its questions go through before they reach its model, of an opened
        benchmark and the model, such as one that leaves pictures out; None for the model itself.
      asks: other stages whose finished models its evaluation asks as well, under their names, such
        as a judge; they are made with it, and its own weights do not depend on them.
      asked_as: dotted keys of the configuration that choose what a run is about; they must be the
        same when it is asked.
      asked_within: dotted keys of counts, 0 for all, of what a run is about; no more is asked.
      folder: name of the run's folder, the stage's own name if empty.
      method: whether it is one of several methods that are compared, and that start from the same
        stages; ``experiments.finetune`` runs the stages that are not, ``experiments.unlearn`` one
        that is.
    """

    name: str
    depends_on: tuple[str, ...]
    parent: str | None = None
    model: ConfigDict | None = None
    pretrained: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    fresh: tuple[str, ...] = ()
    own_format: bool = False
    schedule: ConfigDict | None = None
    objective: Objective | None = None
    examples: Callable[..., Sequence[Example]] | None = None
    inquiry: Callable[[Any], Rounds] | None = None
    consults: tuple[str, ...] = ()
    answerer: Callable[[Any, Path, Answerer | None], Answerer] | None = None
    through: Callable[[Any, Answerer], Answerer] | None = None
    asks: tuple[str, ...] = ()
    asked_as: tuple[str, ...] = ()
    asked_within: tuple[str, ...] = ()
    folder: str = ""
    method: bool = False

    @property
    def loads(self) -> tuple[str, ...]:
        """The stages whose weights it trains with: those it starts from, then its reference's."""
        reference = None if self.objective is None else self.objective.reference
        others = [] if reference in (None, PARENT) else [reference]
        return (*([] if self.parent is None else [self.parent]), *others)

    @property
    def parents(self) -> tuple[str, ...]:
        """The stages whose models it needs: those that it loads, then those that it consults."""
        return tuple(dict.fromkeys((*self.loads, *self.consults)))

    @property
    def asks_of_others(self) -> tuple[str, ...]:
        """``asks`` without the stage itself, which an evaluation may ask as well."""
        return tuple(name for name in self.asks if name != self.name)

    @property
    def prunes(self) -> bool:
        """Whether it removes neurons; then it trains nothing."""
        return self.objective is not None and self.objective.prune is not None

    @property
    def trains(self) -> bool:
        """Whether it trains; if it does not, and does not prune, its run points at its parent's."""
        trained = self.objective is not None and self.objective.loss is not None
        return trained and bool(self.schedule.epochs)


Stages = Mapping[str, Stage]


def find(stages: Stages, name: str) -> Stage:
    """Return the stage of a name.

    Raises:
      ValueError: the study has no such stage; the message names the nearest one.
    """
    return lookup(stages, name, "stage")


def before_methods(stages: Stages) -> list[str]:
    """Return the names of the stages that methods start from, in order."""
    return [name for name, stage in stages.items() if not stage.method]


def stream(stages: Stages, name: str) -> int:
    """Return the number that separates the random draws of a stage from those of the others.

    The stages before the methods are numbered in their order, without one that only imports
    weights; all methods share the next number, so that they see the same rows.
    """
    taught = [other for other in before_methods(stages) if stages[other].schedule is not None]
    return len(taught) if find(stages, name).method else taught.index(name)


def seed_of(stages: Stages, name: str, seed: int) -> int:
    """Return the seed of a stage's draws of rows and views in a study of some seed."""
    return 10 * seed + stream(stages, name)


def folder_name(stages: Stages, name: str) -> str:
    """Return the name of a run's folder within its study."""
    return find(stages, name).folder or name
