"""The sections of the report, in the order of the page: brackets come before any model."""

from typing import Any

from mllm.benchmarks.hear.report.conditions import condition_section
from mllm.benchmarks.hear.report.facts import fact_section
from mllm.benchmarks.hear.report.forgetting import forgetting_section
from mllm.benchmarks.hear.report.gallery import gallery_section
from mllm.benchmarks.hear.report.layers import layer_section
from mllm.benchmarks.hear.report.rare import rare_section
from mllm.benchmarks.hear.report.recognition import recognition_section
from mllm.benchmarks.hear.report.study import Study
from mllm.benchmarks.hear.report.trust import trust_section
from mllm.reporting.charts import Curve
from mllm.reporting.collect import Sweep
from mllm.reporting.section import Section
from mllm.reporting.standard import curves_section, of_group

CURVES = {"loss": Curve("loss")}
_CURVES = "The loss that each training run logged, in nats per token. Each panel has its own scale."


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark the gallery plays no sounds.
    """
    found: list[Section] = []
    for comparison in sweep.comparisons:
        study = Study(comparison, benchmark)
        parts = (
            trust_section(study),
            condition_section(study),
            fact_section(study),
            forgetting_section(study),
            recognition_section(study),
            rare_section(study),
            layer_section(study),
            gallery_section(study),
        )
        several = len(sweep.comparisons) > 1
        found += [of_group(one, comparison) if several else one for one in parts if one]
    return [*found, curves_section(sweep, CURVES, _CURVES)]
