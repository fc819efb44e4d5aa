"""The sections of the report, in the order of the page."""

from typing import Any

from mllm.benchmarks.scale.report.brackets import bracket_section
from mllm.benchmarks.scale.report.capabilities import capability_section
from mllm.benchmarks.scale.report.efficiency import efficiency_section
from mllm.benchmarks.scale.report.failures import failure_section, tag_all
from mllm.benchmarks.scale.report.gallery import gallery_section
from mllm.benchmarks.scale.report.gaps import gap_section
from mllm.benchmarks.scale.report.sensitivity import sensitivity_section
from mllm.benchmarks.scale.report.study import Study
from mllm.reporting.collect import Sweep
from mllm.reporting.section import Section


def sections(sweep: Sweep, benchmark: Any | None) -> list[Section]:
    """Return the sections between the head of the report and how to reproduce it.

    Without the benchmark wrong answers are not tagged, chance is not computed and the gallery shows
    no pictures.
    """
    found: list[Section] = []
    for comparison in sweep.comparisons:
        study = Study(comparison, benchmark)
        tagged = tag_all(study, sweep.workdir) if benchmark else {}
        parts = (
            capability_section(study),
            gap_section(study),
            failure_section(study, tagged),
            sensitivity_section(study),
            bracket_section(study),
            efficiency_section(study),
            gallery_section(study, tagged),
        )
        found += [section for section in parts if section]
    return found
