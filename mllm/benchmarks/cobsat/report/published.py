"""The published numbers of CoBSAT, to be shown next to ours where the setting is the same.

Source: Zeng et al. 2024 (arXiv:2402.01293), the figures of the repository's notebook. Most values
were read off its bars, and agree with those that it prints within 0.003. They were measured on the
published pictures with LLaVA-1.5-13B as the judge, over 1,000 prompts of each task. What was not
run has no number; the notebook draws it as 0. All are fractions of 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mllm.benchmarks.cobsat.scores import ALL
from mllm.benchmarks.cobsat.tasks import TASKS

# The columns of the notebook: the tasks that ask for the object, then those for the detail.
TASK_NAMES = tuple(
    task.name for infers in (True, False) for task in TASKS.values() if task.infers_object is infers
)
SHOTS = ("2", "4", "6", "8")
NOTE = (
    "Published rows (italic) are of Zeng et al. 2024: other pictures, 1,000 prompts of each task, "
    "and LLaVA-1.5-13B as the judge. Most were read off the figures of the paper's notebook, to "
    "about 0.3 points, and have no intervals. A dash was not run, or is not known."
)

Cells = dict[str, float | None]


@dataclass(frozen=True)
class Rows:
    """The accuracies of one model in one mode.

    Attributes:
      tasks: shots -> the accuracy in each task, as ``TASK_NAMES``.
      average: shots -> the printed average over the ten tasks.
    """

    tasks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    average: Mapping[str, float] = field(default_factory=dict)

    def cells(self, shots: str) -> Cells:
        """Return task, or ``ALL``, -> accuracy, None where there is none."""
        known = self.tasks.get(shots)
        values = known or (None,) * len(TASK_NAMES)
        return {**dict(zip(TASK_NAMES, values, strict=True)), ALL: self.average.get(shots)}


def _averages(*values: float | None) -> dict[str, float]:
    found = zip(SHOTS, values, strict=False)
    return {shots: value for shots, value in found if value is not None}


# fmt: off
DEFAULT: dict[str, dict[str, Rows]] = {
    "image": {
        "SEED-LLaMA": Rows(
            {
                "2": (.681, .350, .204, .182, .198, .289, .468, .298, .261, .164),
                "4": (.608, .125, .073, .055, .125, .252, .076, .271, .210, .106),
                "6": (.553, .070, .076, .131, .201, .456, .453, .334, .252, .146),
                "8": (.541, .027, .024, .170, .207, .489, .398, .319, .271, .170),
            },
            _averages(.309, .190, .267, .262),
        ),
        "GILL": Rows(
            {
                "2": (.173, .055, .070, .064, .076, .012, .046, .024, .024, .043),
                "4": (.106, .046, .043, .073, .088, .024, .061, .046, .033, .070),
                "6": (.082, .027, .033, .055, .091, .036, .079, .055, .040, .082),
                "8": (.079, .009, .006, .082, .091, .055, .058, .055, .036, .073),
            },
            _averages(.059, .059, .058, .054),
        ),
        "Emu": Rows(
            {
                "2": (.067, .052, .058, .055, .079, .064, .109, .082, .094, .076),
                "4": (.064, .018, .046, .049, .097, .040, .125, .109, .079, .088),
                "6": (.055, .015, .030, .058, .103, .040, .109, .128, .076, .109),
                "8": (.064, .006, .009, .082, .082, .070, .146, .149, .082, .109),
            },
            _averages(.074, .071, .072, .080),
        ),
        "Emu2": Rows(
            {"2": (.061, .064, .036, .024, .024, .009, .040, .015, .064, .021)},
            _averages(.036),
        ),
    },
    "text": {
        "Gemini": Rows(
            {
                "2": (.867, .795, .315, .518, .706, .555, .586, .360, .727, .343),
                "4": (.905, .909, .542, .737, .864, .710, .775, .487, .819, .555),
            },
            _averages(.577, .730, .830, .827),
        ),
        "GPT-4V": Rows(
            {
                "2": (.843, .651, .271, .648, .511, .206, .675, .439, .490, .350),
                "4": (.693, .453, .237, .531, .483, .291, .713, .415, .490, .357),
            },
            _averages(.508, .466, .424, .405),
        ),
        "Claude-haiku": Rows(
            {
                "2": (.521, .185, .154, .480, .360, .305, .679, .449, .422, .281),
                "4": (.648, .360, .223, .645, .531, .391, .830, .535, .473, .377),
            },
            _averages(.384, .501, .536, .559),
        ),
        "Qwen-VL": Rows(
            {
                "2": (.477, .315, .381, .466, .339, .459, .381, .261, .391, .319),
                "4": (.562, .459, .573, .682, .456, .569, .367, .343, .549, .435),
            },
            _averages(.379, .500, .429, .343),
        ),
        "Emu": Rows(
            {
                "2": (.007, .048, .034, .106, .110, .000, .003, .072, .466, .072),
                "4": (.295, .357, .086, .130, .189, .014, .576, .103, .703, .034),
            },
            _averages(.092, .249, .292, .247),
        ),
        "SEED-LLaMA": Rows(
            {"2": (.130, .021, .010, .062, .123, .045, .069, .017, .069, .031)},
            _averages(.058, .005, .001, .000),
        ),
        "GILL": Rows(
            {"2": (.079, .027, .051, .048, .069, .017, .021, .024, .024, .027)},
            _averages(.039, .037, .034, .038),
        ),
        "LLaVA-1.5": Rows(
            {"2": (.051, .027, .099, .024, .075, .014, .038, .014, .021, .027)},
            _averages(.039, .054, .057, .011),
        ),
        "LLaVA-NeXT": Rows(
            {"2": (.034, .007, .024, .024, .031, .007, .038, .010, .014, .014)},
            _averages(.020, .019, .018, .023),
        ),
        "Emu2": Rows(
            {"2": (.003, .010, .027, .010, .034, .000, .000, .007, .003, .010)},
            _averages(.011),
        ),
    },
}
# Of the other models in text mode only a bound is known: at most 0.04.
MISLEADING: dict[str, dict[str, Rows]] = {
    "image": {
        "SEED-LLaMA": Rows(average=_averages(.150, .133, .169, .184)),
        "GILL": Rows(average=_averages(.064, .060, .060, .053)),
        "Emu": Rows(average=_averages(.051, .054, .048, .044)),
    },
    "text": {
        "Gemini": Rows(average=_averages(.082, .210, .305, .353)),
        "Qwen-VL": Rows(average=_averages(.027, .036, .035, .138)),
        "GPT-4V": Rows(average=_averages(.017, .028, .020, .024)),
    },
}
# Averages over the ten tasks, default prompts with two shots: (textual, visual).
ALIGNED: dict[str, dict[str, tuple[float, float]]] = {
    "image": {
        "SEED-LLaMA": (.52, .64), "GILL": (.08, .60), "Emu": (.24, .38), "Emu2": (.05, .81),
    },
    "text": {
        "Gemini": (.69, .86), "GPT-4V": (.62, .81), "Claude-haiku": (.65, .69),
        "Qwen-VL": (.72, .58), "Emu": (.10, .72), "SEED-LLaMA": (.20, .08), "GILL": (.09, .43),
        "LLaVA-1.5": (.05, .79), "LLaVA-NeXT": (.06, .42), "Emu2": (.01, .87),
    },
}
ALIGNED_SHOTS = "2"
# The same averages: (object, detail).
SIDES: dict[str, dict[str, tuple[float, float]]] = {
    "image": {
        "SEED-LLaMA": (.69, .47), "GILL": (.37, .30), "Emu": (.32, .29), "Emu2": (.43, .42),
    },
    "text": {
        "Gemini": (.83, .72), "GPT-4V": (.71, .72), "Claude-haiku": (.71, .64),
        "Qwen-VL": (.73, .58),
    },
}
# Fine-tuned on the other themes, asked 250 prompts of the words that fine-tuning never saw: mode ->
# task -> accuracy. The print hides the number of shots and the model, which must be SEED-LLaMA in
# image mode and Qwen-VL in text mode.
LEAVE_ONE_OUT: dict[str, dict[str, float]] = {
    "image": {"Color-I": .748, "Color-II": .616, "Background-I": .484, "Background-II": .376},
    "text": {"Action-II": .212},
}
# fmt: on

_BY_PROMPT = {"default": DEFAULT, "misleading": MISLEADING}


def published(mode: str, prompt: str, shots: str) -> dict[str, Cells]:
    """Return model -> task, or ``ALL``, -> accuracy, of the models with any number in a setting."""
    found = {model: rows.cells(shots) for model, rows in _rows(mode, prompt).items()}
    return {
        model: cells
        for model, cells in found.items()
        if any(value is not None for value in cells.values())
    }


def averages(mode: str, prompt: str) -> dict[str, dict[str, float]]:
    """Return model -> shots -> the average over the ten tasks."""
    return {model: dict(rows.average) for model, rows in _rows(mode, prompt).items()}


def _rows(mode: str, prompt: str) -> dict[str, Rows]:
    return _BY_PROMPT.get(prompt, {}).get(mode, {})
