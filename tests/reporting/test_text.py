"""The escapes of each format, and thumbnails."""

import base64
import io

import pytest
from PIL import Image

from mllm.reporting.pictures import thumbnail
from mllm.reporting.text import clean_text, escape_latex, escape_markdown, guard_csv


@pytest.mark.parametrize(
    ("escape", "raw", "safe"),
    [
        (escape_markdown, "a|b`<i>", r"a\|b\`&lt;i&gt;"),
        (escape_markdown, "[x](javascript:1)", r"\[x\]\(javascript:1\)"),
        (escape_latex, r"50% of $x_1 & \input{a}#~^", r"50\% of \$x\_1 \& \textbackslash{}input"
         r"\{a\}\#\textasciitilde{}\textasciicircum{}"),
        (guard_csv, "=HYPERLINK(1)", "'=HYPERLINK(1)"),
        (guard_csv, "\t@x", "'@x"),
        (guard_csv, "-1+1", "'-1+1"),
        (guard_csv, "plain", "plain"),
        (clean_text, "\x1b]0;title\x07a\x1b[2Jb\u202ec\u2066d\x00\u200b", "abcd"),
        (clean_text, "two\r\nlines\u2028here", "two lines here"),
        (clean_text, "\ud800", "\ufffd"),
    ],
)  # fmt: skip
def test_escapes(escape, raw, safe):
    assert escape(raw) == safe


def test_thumbnails_are_small_and_drawn_anew():
    buffer = io.BytesIO()
    Image.new("RGBA", (900, 450), (10, 20, 30, 0)).save(buffer, "PNG")
    uri = thumbnail(buffer.getvalue() + b"<script>")
    data = base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (128, 64)
    assert b"script" not in data
    assert thumbnail(b"<svg onload=alert(1)>") is None
    assert thumbnail(None) is None
