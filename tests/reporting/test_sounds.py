"""Sounds of a page: small, the same each time, and played by a browser that loads nothing."""

import base64
import dataclasses
import io

import numpy as np
import pytest
import soundfile
from browser import CHROMIUM, Browser

from mllm.reporting import write_report
from mllm.reporting.section import Card, Gallery, Sample, Section, Sound
from mllm.reporting.sounds import sound_uri

RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)


def decoded(uri: str) -> tuple[np.ndarray, int]:
    kind, _, data = uri.partition(";base64,")
    assert kind == "data:audio/mpeg"
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def test_a_sound_is_read_back_as_it_was():
    samples, rate = decoded(sound_uri(TONE, RATE))
    assert rate == RATE and abs(len(samples) - len(TONE)) < RATE // 8
    power = np.abs(np.fft.rfft(samples)) ** 2
    assert abs(power.argmax() * RATE / len(samples) - 440) < 4
    assert abs(samples.std() - TONE.std()) < 0.05
    assert len(sound_uri(TONE, RATE)) < RATE // 2 and sound_uri(TONE, RATE) == sound_uri(TONE, RATE)


def test_long_and_loud_sounds_are_cut():
    samples, _ = decoded(sound_uri(np.tile(TONE, 20), RATE, seconds=1))
    assert abs(len(samples) - RATE) < RATE // 8
    samples, _ = decoded(sound_uri(100 * TONE, RATE))
    assert 0.8 < samples.std() < 1.2
    for wrong in ([], [0.0, np.nan], [np.inf]):
        with pytest.raises(ValueError, match=f"a sound of {len(wrong)} samples"):
            sound_uri(np.array(wrong), RATE)


@pytest.fixture
def page(tmp_path, write, report):
    """A report whose gallery holds two sounds, the second one broken."""
    sounds = (Sound(sound_uri(TONE, RATE), "a <b>tone</b>"), Sound("data:audio/mpeg;base64,AAAA"))
    sample = Sample("s", "A tone", "What is it?", "a tone", (), sounds=sounds)
    card = Card("c", "Sounds", "", (sample,))
    write(tmp_path / "s", method="lookout")
    shown = [Section("gallery", "Gallery", (Gallery((card,)),))]
    chosen = dataclasses.replace(report, sections=lambda sweep, benchmark: shown)
    return write_report(tmp_path / "s", chosen)["html"]


def test_sounds_stand_on_the_page_with_their_words(page):
    text = page.read_text()
    assert text.count("<audio controls") == 2 and "a &lt;b&gt;tone&lt;/b&gt;" in text
    assert "media-src data:" in text


PLAY = """(async number => {
  const sound = document.querySelectorAll("audio")[number];
  if (!sound.error && sound.readyState < 1)
    await new Promise(done => {
      for (const event of ["loadedmetadata", "error"]) sound.addEventListener(event, done);
    });
  if (sound.error) return {error: sound.error.code};
  sound.playbackRate = 4;
  const ended = new Promise(done => sound.addEventListener("ended", done));
  await sound.play();
  await ended;
  return {seconds: sound.currentTime};
})"""


@pytest.mark.chromium
@pytest.mark.thorough
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary was found on the path")
def test_a_browser_plays_them_and_asks_for_nothing(page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        assert browser.evaluate(f"{PLAY}(0)")["seconds"] == pytest.approx(0.5, abs=0.2)
        assert browser.evaluate(f"{PLAY}(1)") == {"error": 4}  # it is no sound
        blocked = "fetch('http://example.com/a').then(() => 'sent', () => 'blocked')"
        assert browser.evaluate(blocked) == "blocked"
        assert [url for url in browser.requests if "example" not in url] == []
