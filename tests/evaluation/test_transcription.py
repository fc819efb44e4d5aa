"""Whisper tiny.en hears what a synthesizer says; the package and espeak-ng must be there."""

import shutil
import subprocess

import numpy as np
import pytest
from tiny_listener import as_file

from mllm.evaluation.transcription import Transcriber

# What tiny.en of transformers makes of recordings of these words, as of synthetic speech.
SAID = {
    "Front, center.": "front center",
    "Activated.": "activated",
    "Please enter your phone number, starting with the area code.": (
        "please enter your phone number starting with the area code"
    ),
}


@pytest.fixture(scope="module")
def transcriber():
    try:
        return Transcriber.read()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.thorough
def test_speech_is_written_down(transcriber):
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    speak = ["espeak-ng", "--stdout", "-s", "140"]
    spoken = [subprocess.run([*speak, text], capture_output=True, check=True) for text in SAID]
    found = transcriber.transcripts([one.stdout for one in spoken], limit=24)
    plain = ["".join(c for c in text.lower() if c not in ",.").strip() for text in found]
    assert plain == list(SAID.values())


def test_what_cannot_be_heard_is_an_error(transcriber):
    with pytest.raises(ValueError, match=r"sound 0: lasts 31\.00 s, but the model hears 30 s"):
        transcriber.transcripts([as_file(np.zeros(31 * 16_000))])
    with pytest.raises(ValueError, match="sound 0: cannot be decoded"):
        transcriber.transcripts([b"no"])
