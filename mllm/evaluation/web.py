"""Calls of a JSON service that may be busy, broken or slow: retried with patience, never for ever.

A key travels in a header only. It goes to the address of the service and nowhere else: redirects
are not followed, certificates are checked, and messages hold "[key]" in its place.
"""

import email.utils
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

Answer = TypeVar("Answer")

BUSY = (408, 409, 425, 429)  # and every status from 500 on
HOPELESS = ("insufficient_quota",)  # codes of an error that waiting does not mend
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a service.

    Attributes:
      timeout: seconds for one attempt, from the first byte sent to the last received.
      retries: attempts after the first.
      first_wait: seconds before the first retry; each further wait is twice as long, and a random
        half of it is left out, so that many callers do not come back at once.
      longest_wait: seconds; a service that asks for a longer wait (Retry-After) is given up.
      most_bytes: a longer response is an error.
    """

    timeout: float = 120.0
    retries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 60.0
    most_bytes: int = 8 * 2**20


class CallFailed(Exception):
    """A call that failed for good.

    Attributes:
      code: the service's own name for the error, "" where it gives none.
    """

    def __init__(self, reason: str, code: str = ""):
        super().__init__(reason)
        self.code = code


class _Retry(Exception):
    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class JsonService:
    """POST JSON objects to one address and read the JSON objects that come back.

    Threads may share a service.

    Args:
      url: the address.
      key: sent as a bearer token; "" sends none.
      patience: timeouts and retries.
      connections: the most calls at once.
      sleep: waits for a number of seconds; a test passes its own. By default ``stop`` ends a wait.

    Raises:
      ValueError: the address is not http or https, a key would travel unencrypted to another
        machine, or it is no text for a header.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        patience: Patience | None = None,
        connections: int = 4,
        sleep: Callable[[float], object] | None = None,
    ):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url is {url!r}, expected http://… or https://…")
        if parts.username or parts.password:
            raise ValueError("url holds a user or password; give a key by its variable instead")
        if key and parts.scheme == "http" and parts.hostname not in _LOCAL:
            raise ValueError(f"url {url!r} would send a key unencrypted; use https")
        if not key.isascii() or not key.isprintable():
            raise ValueError("the key holds characters that a header cannot; copy it again")
        self._url, self._key = url, key
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._patience = patience or Patience()
        self._client = httpx.Client(
            follow_redirects=False,
            timeout=self._patience.timeout,
            limits=httpx.Limits(max_connections=connections),
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )

    def stop(self) -> None:
        """Let calls that are under way, in any thread, fail instead of trying again."""
        self._stopped.set()

    def resume(self) -> None:
        """Let calls try again."""
        self._stopped.clear()

    def post(self, body: Mapping[str, Any], read: Callable[[dict], Answer]) -> Answer:
        """Send an object and return ``read`` of the object that comes back.

        Busy and broken services, timeouts, lost connections and responses that are not what
        ``read`` expects (it raises ValueError) are tried again.

        Raises:
          CallFailed: with the reason of the last attempt.
        """
        wait = self._patience.first_wait
        for attempt in range(self._patience.retries + 1):
            try:
                return read(self._attempt(body))
            except (_Retry, httpx.TransportError, ValueError) as error:
                reason = self._hide(f"{_kind(error)}{error}")
                asked = getattr(error, "wait", 0.0)
            if asked > self._patience.longest_wait:
                raise CallFailed(f"{reason}; asks for a wait of {asked:.0f} s")
            if attempt < self._patience.retries:
                self._sleep(max(asked, wait * random.uniform(0.5, 1.0)))
                wait = min(2 * wait, self._patience.longest_wait)
                if self._stopped.is_set():
                    raise CallFailed(f"{reason} (stopped)")
        raise CallFailed(f"{reason} (attempt {self._patience.retries + 1}, the last)")

    def _attempt(self, body: Mapping[str, Any]) -> dict:
        most, end = self._patience.most_bytes, time.monotonic() + self._patience.timeout
        content = bytearray()
        with self._client.stream("POST", self._url, json=body) as response:
            for part in response.iter_bytes():
                content += part
                if len(content) > most:
                    raise CallFailed(f"the response is longer than {most} bytes")
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the response took too long")
        if response.status_code != 200:
            self._refuse(response, bytes(content))
        try:
            value = json.loads(content)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"not JSON ({error})") from None
        if not isinstance(value, dict):
            raise ValueError(f"expected a JSON object, found {type(value).__name__}")
        return value

    def _refuse(self, response: httpx.Response, content: bytes) -> None:
        status = response.status_code
        message, code = _error_of(content)
        reason = self._hide(f"status {status}{f': {message}' if message else ''}")
        if 300 <= status < 400:
            raise CallFailed(f"{reason}; redirects are not followed: give the final address as url")
        if (status in BUSY or status >= 500) and code not in HOPELESS:
            raise _Retry(reason, _retry_after(response.headers.get("Retry-After", "")))
        raise CallFailed(reason, code)

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _kind(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timeout: "
    if isinstance(error, httpx.TransportError):
        return "connection: "
    return "" if isinstance(error, _Retry) else "malformed response: "


def _error_of(content: bytes) -> tuple[str, str]:
    """Return message and code of an error in OpenAI's form, else the beginning of the text."""
    text = content.decode(errors="replace")
    try:
        error = json.loads(text)["error"]
        return str(error.get("message") or "")[:300], str(error.get("code") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return " ".join(text.split())[:300], ""


def _retry_after(header: str) -> float:
    """Return the seconds that a Retry-After header asks for, a number or a date; 0 without one."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0
