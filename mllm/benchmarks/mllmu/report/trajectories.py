"""How each method moved while it trained: the loss on what is kept against that to forget."""

from mllm.reporting.comparison import Comparison
from mllm.reporting.paths import Trajectory, paths_figure, spaced, together
from mllm.reporting.runs import read_metrics
from mllm.reporting.section import Drawing, Panel

_CAPTION = (
    "The way of each method while it trains, its first seed: to the right the answers to forget "
    "become unlikely, upwards the answers to keep do. Marks stand at the last step. The losses are "
    "those of the training batches; methods that never see rows to keep have no path."
)
_X, _Y = "forget_nll", "retain_nll"


def trajectories(comparison: Comparison) -> list[Trajectory]:
    """Return the path of each unlearning method that logged both losses, first seeds only."""
    found = []
    for key in comparison.methods:
        run = comparison.runs[key][0]
        try:
            xs, ys = together(read_metrics(run), _X, _Y)
        except ValueError:  # the section of training curves says why
            continue
        if len(xs) > 1:
            style = comparison.style(key[0])
            found.append(Trajectory(comparison.label(key), spaced(xs), spaced(ys), style))
    return found


def trajectory_drawing(comparison: Comparison, ending: str) -> Drawing | None:
    """Return the figure of all paths, None where no method has one.

    Args:
      ending: of the name of its file.
    """
    paths = trajectories(comparison)
    if not paths:
        return None

    def draw(theme):
        labels = ("forget: nats per token →", "retain: nats per token →")
        return paths_figure(paths, *labels, theme)

    panel = Panel(draw, "Loss on what is kept against loss on what is forgotten, while training")
    return Drawing((panel,), _CAPTION, 1, {f"trajectories{ending}": draw})
