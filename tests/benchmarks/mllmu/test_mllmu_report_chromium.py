"""The page in a real browser: no console message, no request, hostile text shown as text."""

import json
import shutil
import subprocess

import pytest

from mllm.benchmarks.mllmu.report import REPORT
from mllm.reporting import write_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
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
    document, messages, requests = browse(page, tmp_path / "report")
    assert document.rstrip().endswith("</html>")
    assert "<title>Unlearning report: s</title>" in document
    assert "&lt;script&gt;document.title" in document
    assert messages == [] and requests == []


@pytest.mark.chromium
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium binary was found on the path")
def test_the_watch_sees_a_page_that_does_send_and_log(tmp_path):
    page = tmp_path / "open.html"
    page.write_text(
        "<!doctype html><html><img src=http://example.com/leak.png>"
        "<script>console.error('heard')</script></html>"
    )
    _, messages, requests = browse(page, tmp_path / "open")
    assert any("heard" in message for message in messages)
    assert requests == ["http://example.com/leak.png"]


def browse(page, folder):
    """Open a page; return its document, console messages and the web addresses requested."""
    folder.mkdir()
    log = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-default-apps",
            "--disable-extensions",
            "--disable-sync",
            f"--user-data-dir={folder / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    record = json.loads(log.read_text())
    # The browser's own services (clock, updates) ask too, but no page initiates them.
    starts = [event["params"] for event in record["events"] if "params" in event]
    requests = [
        params["url"]
        for params in starts
        if str(params.get("url", "")).startswith(("http:", "https:", "ws:", "wss:"))
        and params.get("initiator", "not an origin") != "not an origin"
    ]
    return done.stdout, messages, requests
