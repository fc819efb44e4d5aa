"""Batches of two pipelines in arrays of the same shapes."""

import numpy as np
from toy import make_processor, make_source, pipeline_of

from mllm.data.alike import alike_batches
from mllm.data.packing import RowShape
from mllm.unlearning.roles import FORGET, ROLES


def pipelines():
    """One with full rows, and one of a single short row."""
    processor, shape = make_processor(), RowShape(tokens=96, supervised=32, answers=5)
    options = dict(seed=0, schedule="all", roles=ROLES, primary=FORGET)
    return [
        pipeline_of(source, processor, 4, shape, **options)
        for source in (make_source(), make_source(2)[1:])
    ]


def test_padding_shows_nothing():
    long, short = pipelines()
    alone = short.batch_at(0)
    whole, padded = alike_batches([long, short], 0)
    np.testing.assert_array_equal(whole["tokens"], long.batch_at(0)["tokens"])
    assert {name: array.shape for name, array in padded.items() if name != "media"} == {
        name: array.shape for name, array in whole.items() if name != "media"
    }
    width = alone["tokens"].shape[1]
    assert width < padded["tokens"].shape[1]
    for name in ("tokens", "positions", "segments", "loss_mask"):
        np.testing.assert_array_equal(padded[name][:, :width], alone[name])
    assert (padded["segments"][:, width:] == -1).all()
    assert padded["loss_mask"].sum() == alone["loss_mask"].sum()
    absent = padded["targets"] == padded["tokens"].shape[1]
    assert (~absent).sum() == (alone["targets"] < width).sum()


def test_media_are_padded_as_absent():
    def with_tiles(batch, tiles):
        image = {
            "slots": np.zeros((4, tiles), np.int32),
            "lengths": np.full((4, tiles), 4, np.int32),
            "values": np.ones((4, tiles, 2, 2, 3), np.uint8),
        }
        return {**batch, "media": {"image": image}}

    class Fixed:
        def __init__(self, pipeline, tiles):
            self.pipeline, self.tiles = pipeline, tiles

        def shape_at(self, step):
            return self.pipeline.shape_at(step)

        def batch_at(self, step, shape):
            return with_tiles(self.pipeline.batch_at(step, shape), self.tiles)

    long, short = pipelines()
    one, two = alike_batches([Fixed(long, 3), Fixed(short, 1)], 0)
    image = two["media"]["image"]
    np.testing.assert_array_equal(image["slots"], [[0, -1, -1]] * 4)
    np.testing.assert_array_equal(image["lengths"], [[4, 0, 0]] * 4)
    assert image["values"].shape == one["media"]["image"]["values"].shape
    assert not image["values"][:, 1:].any()
