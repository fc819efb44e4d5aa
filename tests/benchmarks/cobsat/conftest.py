"""A data set whose pictures cost nothing: squares of one color each, with the real words."""

import io

import pytest
from PIL import Image

from mllm.benchmarks.cobsat import benchmark as module
from mllm.benchmarks.cobsat.captions import caption
from mllm.benchmarks.cobsat.generate import view_seed
from mllm.benchmarks.cobsat.shown import Shown
from mllm.benchmarks.cobsat.tasks import pairs


def square(place: int, number: int = 0) -> bytes:
    """Return a PNG whose color tells the place of a pair and the number of a view."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (place % 250, place // 250, number)).save(stream, "PNG")
    return stream.getvalue()


def draw_squares(sizes, seed, split, **more):
    for place, pair in enumerate(pairs()):
        for number in range(sizes.count(split)):
            seen = view_seed(seed, split, place, number)
            yield Shown(pair, seen, square(place, number), caption(pair))


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """The folder of such a data set, and its benchmark."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "draw_split", draw_squares)
        return folder, module.prepare(folder, "micro", seed=3)
