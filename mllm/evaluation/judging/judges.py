"""The judges by name, and what all of them say of all replies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mllm.evaluation.endpoint import Endpoint, EndpointConfig
from mllm.evaluation.judging.asked import AskedJudge
from mllm.evaluation.judging.case import ERROR, Case, Judge
from mllm.evaluation.judging.embedding import EmbeddingJudge
from mllm.evaluation.judging.rules import FactJudge, RougeJudge
from mllm.registry import lookup

ANSWERS = "judge_answers.jsonl"  # what an endpoint answered, next to the replies that it judged


@dataclass(frozen=True)
class JudgeOptions:
    """The options of all judges.

    Attributes:
      rouge: the least ROUGE-L of a reply that "rouge" calls correct.
      similar: the least cosine of a reply that "embedding" calls relevant.
      encoder_dir: folder of its encoder, "" for all-MiniLM-L6-v2.
      url, model, key_variable, limit_name, parameters, concurrency: of the endpoint
        (``EndpointConfig``). ``model`` is the exact name of a version, where the service has one.
      replay: whether "endpoint" reads the answers on disk and makes no call.
    """

    rouge: float = 0.5
    similar: float = 0.5
    encoder_dir: str = ""
    url: str = "https://api.openai.com/v1"
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    limit_name: str = "max_tokens"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    concurrency: int = 4
    replay: bool = False


def _endpoint(options: JudgeOptions) -> Judge:
    if not options.model:
        raise ValueError(
            "the judge 'endpoint' has no model; name a version of it, such as "
            "--config.evaluation.judging.model=gpt-4o-mini-2024-07-18"
        )
    config = EndpointConfig(
        options.url,
        options.model,
        key_variable=options.key_variable,
        concurrency=options.concurrency,
        limit_name=options.limit_name,
        parameters=dict(options.parameters),
    )
    named = {"endpoint": config.url, "model": config.model, "parameters": dict(config.parameters)}
    return AskedJudge(
        named, lambda folder: Endpoint(config, folder / ANSWERS, replay=options.replay)
    )


JUDGES: Mapping[str, Callable[[JudgeOptions], Judge]] = {
    "facts": lambda options: FactJudge(),
    "rouge": lambda options: RougeJudge(options.rouge),
    "embedding": lambda options: EmbeddingJudge(options.similar, options.encoder_dir),
    "endpoint": _endpoint,
}


def chosen_judges(names: str, options: JudgeOptions) -> dict[str, Judge]:
    """Return the judges of names that "+" joins, such as "facts+embedding"; none for "".

    Raises:
      ValueError: an unknown name, or the endpoint has no model.
    """
    kind = "judge (config.evaluation.judges)"
    wanted = dict.fromkeys(name.strip() for name in names.split("+") if name.strip())
    return {name: lookup(JUDGES, name, kind)(options) for name in wanted}


def judge_cases(cases: Sequence[Case], judges: Mapping[str, Judge], folder: Path) -> dict[str, Any]:
    """Return JSON values: ``cases``, a row each with the verdicts by judge and aspect, and
    ``errors``, the number of verdicts that a judge failed to give.
    """
    found = {name: judge.judge(cases, folder) for name, judge in judges.items()}
    rows = [
        {
            "key": case.key,
            "cluster": case.cluster,
            **case.tags,
            "verdicts": {name: verdicts[place] for name, verdicts in found.items()},
        }
        for place, case in enumerate(cases)
    ]
    said = [one for verdicts in found.values() for verdict in verdicts for one in verdict.values()]
    return {"cases": rows, "errors": said.count(ERROR)}
