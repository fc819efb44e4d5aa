"""How an instructed model read each question is what its family explains, and can be read back."""

import jax
import numpy as np
import pytest
from PIL import Image
from toy import make_fused, media_of, png

from mllm.data.conversation import user
from mllm.evaluation.looks import Looks, explained, read_looks, watched, write_looks
from mllm.evaluation.request import Choices, Request, Text
from mllm.evaluation.runner import LocalModel

pytestmark = pytest.mark.thorough


def noise(seed: int, height: int = 16):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, 16, 3), np.uint8)
    return png(Image.fromarray(pixels))


A, B = noise(1), noise(2, 9)
CHOICES = Choices(("London", "Paris"))
ASKED = [
    ((user(A, "Who is it?"),), CHOICES),
    ((user(A, "Where was Ada born?"),), CHOICES),
    ((user(A, "Where was Ada born?"),), Text(4)),
    ((user("Who is it?"),), CHOICES),
    ((user(B, "Who is it?"),), CHOICES),
]


def requests(numbers=(0, 1, 2, 3, 4)) -> list[Request]:
    return [Request(str(n), f"c{n}", {}, *ASKED[n]) for n in numbers]


@pytest.fixture(scope="module")
def model():
    return make_fused(1)


@pytest.fixture(scope="module")
def looks(model):
    return explained(LocalModel(model), requests(), shown=3)


def test_looks_are_what_the_family_explains(model, looks):
    shown = [n for n, (turns, _) in enumerate(ASKED) if any(turn.media for turn in turns)]
    assert looks.keys == tuple(map(str, shown)) and looks.encoders == ("colour", "semantics")
    explain = jax.jit(model.model.explain, static_argnums=0)
    for row, number in enumerate(shown):
        prompt = model.processor.encode(ASKED[number][0], generate=True)
        media = media_of(model, [prompt])
        found = explain(model.config, model.variables, media)
        np.testing.assert_allclose(looks.gates[row], found["gates"][0, 0], atol=1e-5)
        np.testing.assert_allclose(looks.bank[row], found["bank"][0, 0], atol=1e-5)
        if row < 3:
            assert looks.shown[row] == row
            for name in looks.encoders:
                there = looks.attention[name][row]
                np.testing.assert_allclose(there, found["attention"][name][0, 0], atol=1e-5)
    assert len(looks.shown) == 3
    np.testing.assert_array_equal(looks.gates[1], looks.gates[2])  # one prompt, asked twice
    np.testing.assert_allclose(looks.gates.sum(axis=-1), 1, atol=1e-5)
    assert np.abs(looks.gates[0] - looks.gates[1]).max() > 1e-4


def test_requests_without_pictures_have_no_looks(model):
    assert explained(LocalModel(model), requests([3])) is None


def test_looks_are_read_back_and_damage_is_named(looks, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"looks\.npz: no such file"):
        read_looks(tmp_path)
    write_looks(tmp_path, looks, "one")
    found = read_looks(tmp_path, "one")
    assert isinstance(found, Looks)
    assert (found.keys, found.encoders) == (looks.keys, looks.encoders)
    for name in ("gates", "bank", "shown"):
        np.testing.assert_array_equal(getattr(found, name), getattr(looks, name))
    assert found.attention.keys() == looks.attention.keys()
    with pytest.raises(ValueError, match="of another model or other questions"):
        read_looks(tmp_path, "two")
    path = tmp_path / "looks.npz"
    whole = path.read_bytes()
    for damaged in (whole[:200], b"", b"text", whole.replace(b"NUMPY", b"NUMPI")):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"looks\.npz: is damaged"):
            read_looks(tmp_path)
    entries = dict(np.load(write_again(tmp_path, looks)))
    np.savez(path, **{**entries, "gates": entries["gates"] + 1})
    with pytest.raises(ValueError, match=r"looks\.npz: was changed"):
        read_looks(tmp_path)


def write_again(folder, looks):
    write_looks(folder, looks, "one")
    return folder / "looks.npz"


def test_rounds_are_watched_once_they_are_answered():
    def rounds():
        try:
            replies = yield ["a"]
        except ValueError:
            replies = yield ["again"]
        yield [*replies, "b"]

    seen = []
    found = watched(rounds(), seen.extend)
    assert next(found) == ["a"] and not seen
    assert found.throw(ValueError) == ["again"] and not seen
    assert found.send(["r"]) == ["r", "b"] and seen == ["again"]
    with pytest.raises(StopIteration):
        found.send([])
    assert seen == ["again", "r", "b"]
