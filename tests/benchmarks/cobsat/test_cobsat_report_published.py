"""The published numbers are transcribed right: their averages are those that were printed."""

import pytest

from mllm.benchmarks.cobsat.report.published import (
    ALIGNED,
    DEFAULT,
    LEAVE_ONE_OUT,
    MISLEADING,
    SIDES,
    TASK_NAMES,
    averages,
    published,
)
from mllm.benchmarks.cobsat.scores import ALL


def test_ten_cells_have_the_printed_average():
    rows = [
        (cells, known.average[shots])
        for models in DEFAULT.values()
        for known in models.values()
        for shots, cells in known.tasks.items()
    ]
    assert len(rows) == 28
    for cells, average in rows:
        # Cells are read off a figure, each to 0.003; rounding of cells and average adds 0.001.
        assert len(cells) == 10 and sum(cells) / 10 == pytest.approx(average, abs=0.0011)


def test_columns_are_those_of_the_notebook():
    assert TASK_NAMES[:3] == ("Color-I", "Background-I", "Style-I")
    assert TASK_NAMES[5:] == ("Color-II", "Background-II", "Style-II", "Action-II", "Texture-II")
    cells = published("image", "default", "2")["SEED-LLaMA"]
    assert (cells["Color-I"], cells["Background-II"], cells[ALL]) == (0.681, 0.468, 0.309)


def test_what_was_not_run_has_no_number():
    assert "Emu2" in published("image", "default", "2")
    assert "Emu2" not in published("image", "default", "4")
    assert averages("image", "default")["Emu2"] == {"2": 0.036}
    assert "Claude-haiku" not in published("text", "misleading", "2")
    known = published("text", "default", "6")["Gemini"]
    assert known[ALL] == 0.830 and known["Color-I"] is None
    assert published("text", "exact", "2") == published("image", "default", "3") == {}


def test_a_zero_that_was_measured_stays():
    assert published("text", "default", "8")["SEED-LLaMA"][ALL] == 0.0


def test_every_number_is_a_fraction_and_overall_is_at_most_either_side():
    for kind in (DEFAULT, MISLEADING):
        for models in kind.values():
            for known in models.values():
                cells = [*known.average.values(), *(v for row in known.tasks.values() for v in row)]
                assert all(0 <= value < 1 for value in cells)
    for known in (ALIGNED, SIDES):
        for mode, models in known.items():
            for model, pair in models.items():
                # Sides are printed to 0.01.
                assert DEFAULT[mode][model].average["2"] <= min(pair) + 0.005
    assert {task for cells in LEAVE_ONE_OUT.values() for task in cells} <= {*TASK_NAMES}


@pytest.mark.parametrize("mode", ["image", "text"])
def test_textual_and_visual_average_as_object_and_detail_do(mode):
    """Each task counts both sides once, so the two pairs have one sum."""
    for model, sides in SIDES[mode].items():
        assert sum(ALIGNED[mode][model]) == pytest.approx(sum(sides), abs=0.021)
