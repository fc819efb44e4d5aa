"""The sections of the report, in the order of the page: brackets come before any model."""

from typing import Any

from mllm.benchmarks.photo.report.ablations import ablation_section
from mllm.benchmarks.photo.report.contrasts import contrast_section
from mllm.benchmarks.photo.report.critiques import critique_section
from mllm.benchmarks.photo.report.dependence import dependence_section
from mllm.benchmarks.photo.report.gallery import gallery_section
from mllm.benchmarks.photo.report.gates import gate_section
from mllm.benchmarks.photo.report.readings import reading_section
from mllm.benchmarks.photo.report.study import Study
from mllm.benchmarks.photo.report.topics import topic_section
from mllm.benchmarks.photo.report.trust import trust_section
from mllm.reporting.charts import Curve
from mllm.reporting.collect import Sweep
from mllm.reporting.section import Section
from mllm.reporting.standard import curves_section, of_group

CURVES = {"loss": Curve("loss")}
_CURVES = "The loss that each training run logged, in nats per token. Each panel has its own scale."


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark the gallery shows no photographs.
    """
    found: list[Section] = []
    for comparison in sweep.comparisons:
        study = Study(comparison, benchmark)
        parts = (
            trust_section(study),
            topic_section(study),
            contrast_section(study),
            gate_section(study),
            ablation_section(study),
            dependence_section(study),
            reading_section(study),
            critique_section(study),
            gallery_section(study),
        )
        several = len(sweep.comparisons) > 1
        found += [of_group(one, comparison) if several else one for one in parts if one]
    return [*found, curves_section(sweep, CURVES, _CURVES)]
