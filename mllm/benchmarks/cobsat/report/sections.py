"""The sections of the report, in the order of the page: the judge comes before any model."""

import dataclasses
from typing import Any

from mllm.benchmarks.cobsat.report.accuracy import accuracy_section
from mllm.benchmarks.cobsat.report.corners import corner_section
from mllm.benchmarks.cobsat.report.curve import curve_section
from mllm.benchmarks.cobsat.report.evidence import evidence_section
from mllm.benchmarks.cobsat.report.failures import failure_section
from mllm.benchmarks.cobsat.report.finetuning import finetuning_section
from mllm.benchmarks.cobsat.report.gallery import gallery_section, reconstructions
from mllm.benchmarks.cobsat.report.prompts import prompt_section
from mllm.benchmarks.cobsat.report.study import Study
from mllm.benchmarks.cobsat.report.trust import trust_section
from mllm.reporting.charts import Curve
from mllm.reporting.collect import Sweep
from mllm.reporting.section import Gallery, Section
from mllm.reporting.standard import curves_section, of_group

CURVES = {
    "loss": Curve("loss"),
    "perplexity": Curve("perplexity of the codes", "--", "#0072B2"),
}
_CURVES = (
    "The loss that each training run logged, in nats per token; of the tokeniser the error of its "
    "pictures, and the perplexity of the codes of a batch. Each panel has its own scale."
)


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark the gallery shows drawings, but no pictures of prompts.
    """
    found: list[Section] = []
    for comparison in sweep.comparisons:
        study = Study(comparison, benchmark)
        parts = (
            _with_reconstructions(study),
            evidence_section(study),
            accuracy_section(study),
            curve_section(study),
            prompt_section(study),
            corner_section(study),
            failure_section(study),
            gallery_section(study),
        )
        several = len(sweep.comparisons) > 1
        found += [of_group(one, comparison) if several else one for one in parts if one]
    tuned = finetuning_section((*sweep.comparisons, *sweep.further))
    return [*found, *([tuned] if tuned else []), curves_section(sweep, CURVES, _CURVES)]


def _with_reconstructions(study: Study) -> Section:
    section, cards = trust_section(study), reconstructions(study)
    if not cards:
        return section
    return dataclasses.replace(section, blocks=(*section.blocks, Gallery(cards)))
