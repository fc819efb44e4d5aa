"""The cells of the benchmark: suite x input format x capability.

The general suite crosses four input formats with twelve capabilities; five of the 48 cells make
no sense (a single picture has no temporal order) and are left out. The application suites have
capabilities of their own.
"""

FORMATS = ("single", "multi", "frames", "interleaved")
CAPABILITIES = (
    "recognition", "counting", "relations", "documents", "knowledge", "temporal",
    "reasoning", "instructions", "multilingual", "coding", "assessment", "safety",
)  # fmt: skip
SUITES = ("general", "industry", "driving")

Cell = tuple[str, str, str]  # (suite, format, capability)

_LEFT_OUT = {
    ("single", "temporal"),
    ("frames", "reasoning"),
    ("frames", "multilingual"),
    ("frames", "coding"),
    ("frames", "assessment"),
}
_APPLICATIONS = {
    "industry": {
        "defect": ("single", "multi", "interleaved"),
        "gauge": ("single", "frames"),
        "equipment": ("single", "multi"),
    },
    "driving": {
        "signs": ("single", "multi"),
        "damage": ("single", "multi", "interleaved"),
        "decision": ("single", "frames"),
    },
}

GENERAL_CELLS: tuple[Cell, ...] = tuple(
    ("general", form, capability)
    for capability in CAPABILITIES
    for form in FORMATS
    if (form, capability) not in _LEFT_OUT
)
APPLICATION_CELLS: tuple[Cell, ...] = tuple(
    (suite, form, capability)
    for suite, capabilities in _APPLICATIONS.items()
    for capability, forms in capabilities.items()
    for form in forms
)
CELLS = GENERAL_CELLS + APPLICATION_CELLS


def cell_name(cell: Cell) -> str:
    """Return the name of a cell, for example "general/single/counting"."""
    return "/".join(cell)
