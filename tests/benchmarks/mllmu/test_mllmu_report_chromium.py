"""The page in a real browser: no console message, no request, hostile text shown as text."""

import pytest
from browser import CHROMIUM, Browser

from mllm.benchmarks.mllmu.report import REPORT
from mllm.reporting import write_report

HOSTILE = (
    "</style><script>document.title='owned'</script>\"><img src=https://example.com/leak.png"
    " onerror=\"document.title='owned'\"><link rel=stylesheet href=//example.com/a.css>'"
    "<iframe src=https://example.com/frame></iframe><style>@import url(//example.com/b)</style>"
)


@pytest.mark.thorough
@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary was found on the path")
def test_page_leaves_no_request_and_no_console_message(tmp_path, sweep):
    profiles = {"forget": 6, "retain": 6, "celebrity": 6}
    sweep(tmp_path / "s", methods=("vanilla", "ga"), profiles=profiles, text=HOSTILE)
    page = write_report(tmp_path / "s", REPORT)["html"]
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        document = browser.evaluate("document.documentElement.outerHTML")
    assert document.endswith("</html>")
    assert "<title>Unlearning report: s</title>" in document
    assert "&lt;script&gt;document.title" in document
    assert browser.messages == [] and browser.requests == []


@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary was found on the path")
def test_the_watch_sees_a_page_that_does_send_and_log(tmp_path):
    page = tmp_path / "open.html"
    page.write_text(
        "<!doctype html><html><img src=http://example.com/leak.png>"
        "<script>console.error('heard')</script></html>"
    )
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
    assert any("heard" in str(message) for message in browser.messages)
    assert browser.requests == ["http://example.com/leak.png"]
