"""A local server in the format of OpenAI's chat completions that misbehaves as it is asked to."""

import contextlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, finish="stop", prompt=10, completion=2, **message):
    return {
        "choices": [
            {"message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion},
    }


def text_of(body):
    """All text of a call, its pictures as [image]."""
    parts = []
    for message in body["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            parts.append(part["text"] if part["type"] == "text" else "[image]")
    return "".join(parts)


class ChatServer:
    """Serve ``behave(body, attempt)`` on a free port of 127.0.0.1.

    ``behave`` returns (status, headers, bytes or a JSON value), or a function of the handler that
    writes whatever it likes. ``attempt`` counts the calls with the same messages from 1.
    """

    def __init__(self, behave):
        self.behave, self.calls, self.attempts = behave, [], Counter()
        self.lock, self.release = threading.Lock(), threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def handle(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        said = text_of(body)
        with self.lock:
            self.calls.append((handler.path, dict(handler.headers), body))
            self.attempts[said] += 1
            attempt = self.attempts[said]
        found = self.behave(body, attempt)
        if callable(found):
            found(handler)
            return
        status, headers, content = found
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


@contextlib.contextmanager
def serving(behave):
    chat = ChatServer(behave)

    class Handler(BaseHTTPRequestHandler):
        release = chat.release  # set when the server ends

        def do_POST(self):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                chat.handle(self)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    chat.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield chat
    finally:
        chat.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
