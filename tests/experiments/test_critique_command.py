"""The command that critiques a folder, as a user starts it."""

import json

import pytest
import toy
from PIL import Image

from mllm.checkpoints.folder import save_model

pytestmark = pytest.mark.thorough


@pytest.mark.slow
def test_a_folder_is_critiqued_and_mistakes_are_named(commands, tmp_path):
    checkpoint, photos = tmp_path / "model", tmp_path / "photos"
    save_model(checkpoint, toy.make_model())
    photos.mkdir()
    message = commands.refused("critique", "--checkpoint", checkpoint)
    assert "expected one argument, the folder of photographs, found []" in message
    (photos / "text.jpg").write_text("no")
    out = tmp_path / "out"
    (photos / "one.png").write_bytes(toy.png(Image.new("RGB", (20, 16))).data)
    done = commands.run("critique", photos, "--checkpoint", checkpoint, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "passed over: text.jpg: is text, not a picture" in done.stdout
    assert f"photographs critiqued: 1; page: {out / 'index.html'}" in done.stdout
    written = json.loads((out / "critique.json").read_text(encoding="utf-8"))
    assert [one["file"] for one in written["photographs"]] == ["one.png"]
    assert len(written["photographs"][0]["topics"]) == 11
