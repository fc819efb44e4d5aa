"""The sections of the report, in the order of the page: brackets come before any method."""

from typing import Any

from mllm.benchmarks.msr.report.ablations import ablation_section
from mllm.benchmarks.msr.report.contrasts import contrast_section
from mllm.benchmarks.msr.report.costs import cost_section
from mllm.benchmarks.msr.report.gallery import gallery_section
from mllm.benchmarks.msr.report.history import history_section
from mllm.benchmarks.msr.report.ranking import ranking_section
from mllm.benchmarks.msr.report.study import Study
from mllm.benchmarks.msr.report.trust import trust_section
from mllm.benchmarks.msr.report.tuning import tuning_section
from mllm.reporting.charts import Curve
from mllm.reporting.collect import Sweep
from mllm.reporting.section import Section
from mllm.reporting.standard import curves_section, of_group

CURVES = {"loss": Curve("loss")}
_CURVES = "The loss that each training run logged, in nats per token. Each panel has its own scale."


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark the gallery shows ids in place of pictures and titles.
    """
    found: list[Section] = []
    for comparison in sweep.comparisons:
        study = Study(comparison, benchmark)
        parts = (
            trust_section(study),
            ranking_section(study),
            contrast_section(study),
            ablation_section(study),
            history_section(study),
            gallery_section(study),
            cost_section(study),
            tuning_section(study),
        )
        several = len(sweep.comparisons) > 1
        found += [of_group(one, comparison) if several else one for one in parts if one]
    return [*found, curves_section(sweep, CURVES, _CURVES)]
