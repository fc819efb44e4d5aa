"""What a published system offers to the entry points."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mllm.evaluation.request import Benchmark, Questions
from mllm.studies.stage import Stage

Say = Callable[[str], None]


class System(Protocol):
    """The functions of ``mllm.benchmarks.<name>.study``; a module with them is a system.

    A system whose data has a published layout also has ``export_published(benchmark, folder,
    progress)``, which writes it and returns the folder. One with ``workload(config, benchmark,
    family)`` can be measured by ``experiments.bench``. One with a ``CRITERION``
    (``mllm.studies.trials``) may have configuration files with ``trials(config)``. The runs of one
    with ``stress(config, benchmark, group, steps, learning_rate)``, which returns a
    ``studies.stress.Stress``, can be attacked by ``experiments.stress``; ``group`` is the value of
    its layout's group.
    """

    AXES: tuple[str, ...]

    def prepare(self, config: Any, progress: Say | None = None) -> Benchmark:
        """Write the benchmark of a configuration unless it is there, and open it."""
        ...

    def open_benchmark(self, config: Any) -> Benchmark:
        """Open the prepared benchmark of a configuration."""
        ...

    def summary(self, benchmark: Benchmark) -> list[str]:
        """Return lines that say what a benchmark holds."""
        ...

    def stages(self, config: Any) -> Mapping[str, Stage]:
        """Return the graph of the study of a configuration."""
        ...

    def labels(self, config: Any) -> dict[str, Any]:
        """Return what identifies a run together with method and seed; it goes into its record."""
        ...

    def part(self, config: Any) -> str:
        """Return the folder of an evaluation below the one of its protocol."""
        ...

    def questions(self, config: Any, benchmark: Benchmark, family: str) -> Questions:
        """Return what the protocol of a configuration asks of a model of some family."""
        ...

    def score(self, records: list[dict], config: Any) -> list[dict]:
        """Return the scores of the records, as in results.json."""
        ...
