"""What ``experiments.bench`` computes with this benchmark: training pairs and evaluations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mllm.benchmarks.mllmu.ask import paper_questions, strict_questions
from mllm.benchmarks.mllmu.benchmark import Benchmark
from mllm.benchmarks.mllmu.paper import PaperItem, paper_items
from mllm.benchmarks.mllmu.paper_prompts import PaperProtocol
from mllm.benchmarks.mllmu.sets import FORGET, TrainingExamples
from mllm.benchmarks.mllmu.strict import StrictProtocol, strict_items
from mllm.data.conversation import Example
from mllm.evaluation.request import Questions


@dataclass(frozen=True)
class Workload:
    """What is trained and asked.

    Attributes:
      taught: conversations to train on.
      published: prompts of the published script, which asks one at a time.
      evaluations: protocol -> (number of questions, a function that returns them).
    """

    taught: Sequence[Example]
    published: Sequence[PaperItem]
    evaluations: Mapping[str, tuple[int, Callable[[], Questions]]]


def workload(config, benchmark: Benchmark, family: str) -> Workload:
    """Return the pairs of the first ``config.bench.people`` people, and all questions about as many
    people to forget, in both protocols.
    """
    count, everyone = config.bench.people, benchmark.profiles("full")
    forget = benchmark.profiles(f"forget_{config.benchmark.forget}")[:count]
    ids = {profile.id for profile in forget}
    sets = {"forget": forget, "test": benchmark.profiles_of("test", ids)}
    protocol = PaperProtocol().for_family(family)
    published, strict = paper_items(sets, everyone, protocol), strict_items(sets)
    evaluations = {
        "paper": (len(published), partial(paper_questions, sets, everyone, protocol)),
        "strict": (len(strict), partial(strict_questions, sets, StrictProtocol())),
    }
    return Workload(TrainingExamples(everyone[:count], FORGET), published, evaluations)
