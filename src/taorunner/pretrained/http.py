"""How is one HTTP request made well? Retries with back-off, Retry-After, refusals in sentences, nothing secret told.

The one module that makes requests. An exception of httpx never leaves it: such exceptions carry the request, and
with it the key.
"""

from __future__ import annotations

import importlib
import random
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from taorunner.errors import MachineError
from taorunner.pretrained.api_key import KEY_PAGE
from taorunner.version import __version__

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
GOES_ON = "run the same command again: it goes on where it stopped"
LONGEST_WAIT_S = 300.0
"""A server that asks for more is not waited for."""

_REASONS = {
    400: "it does not understand the request",
    401: "it does not accept the API key",
    403: "access is denied",
    404: "there is no such thing",
    408: "it waited too long for us",
    412: "the licence terms are not accepted yet",
    429: "too many requests",
    500: "it has a problem of its own",
    502: "it is not reachable behind its gateway",
    503: "it is not available",
    504: "it did not answer its gateway in time",
    507: "it has no space left",
}


class HttpRefusalError(MachineError):
    """The server's no. ``status`` is what callers decide by; ``asked_s`` is its Retry-After."""

    def __init__(self, status: int, host: str, asked_s: float | None = None) -> None:
        reason = _REASONS.get(status, "it refused")
        super().__init__(f"{host} answered {status}: {reason}", hint=_hint(status))
        self.status, self.asked_s = status, asked_s


class ConnectionLostError(MachineError):
    """Nothing came, or no more: worth another try."""


class Interrupted(Exception):  # noqa: N818 (no error: the person asked for it)
    """Somebody pressed Ctrl-C; what was fetched stays."""


@dataclass(slots=True)
class Patience:
    """How often and how long. ``tries`` are counted since the last byte that came."""

    tries: int = 5
    first_wait_s: float = 0.5
    connect_s: float = 10.0
    read_s: float = 60.0
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = lambda _text: None

    def wait(self, failed: int, error: MachineError, asked_s: float | None = None) -> None:
        """Sleeps before try ``failed + 1``, or raises ``error`` when that would be one too many."""
        if failed >= self.tries:
            raise error
        seconds = asked_s
        if seconds is None:
            seconds = min(30.0, self.first_wait_s * 2 ** (failed - 1)) * random.uniform(0.5, 1.0)
        if seconds > LONGEST_WAIT_S:
            error.hint = f"it asks to wait {seconds:.0f} seconds: try again then"
            raise error
        if seconds >= 1:
            self.tell(f"{error.message}; trying again in {seconds:.0f} s")
        if self.stop.wait(seconds):
            raise Interrupted


class Wire:
    """One pool of connections. ``headers`` given to a request go to that URL only, never along a redirect."""

    def __init__(self, patience: Patience, connections: int = 8) -> None:
        self.patience = patience
        _read_large_pieces()
        self._client = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(patience.read_s, connect=patience.connect_s),
            limits=httpx.Limits(max_connections=connections + 2),
            headers={"User-Agent": f"taorunner/{__version__}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The whole answer, a success or a redirect. Raises HttpRefusalError or ConnectionLostError, after retries."""
        failed = 0
        while True:
            try:
                with self.open(url, headers) as response:
                    response.read()
                    return response
            except HttpRefusalError as error:
                if error.status not in RETRIED:
                    raise
                problem: MachineError = error
                asked = error.asked_s
            except ConnectionLostError as error:
                problem, asked = error, None
            failed += 1
            self.patience.wait(failed, problem, asked)

    @contextmanager
    def open(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """One try, the body still to be read. Statuses from 400 raise HttpRefusalError, but 416 is an answer."""
        host = _host(url)
        try:
            with self._client.stream("GET", url, headers=dict(headers or {})) as response:
                if response.status_code >= 400 and response.status_code != 416:
                    asked_s = retry_after(response.headers.get("Retry-After"))
                    raise HttpRefusalError(response.status_code, host, asked_s)
                yield response
        except httpx.TimeoutException:
            raise ConnectionLostError(f"{host} does not answer", hint=_OFFLINE) from None
        except httpx.ConnectError as error:
            raise ConnectionLostError(f"{host} cannot be reached{_why(error)}", hint=_OFFLINE) from None
        except httpx.TransportError:
            raise ConnectionLostError(
                f"the connection to {host} broke",
                hint=GOES_ON,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise MachineError(f"{host} gave an answer that cannot be read") from None


_OFFLINE = (
    "check network and proxy (HTTPS_PROXY); without a network: copy the model's folder and use --from DIR"
)


def _read_large_pieces() -> None:
    """httpcore reads 64 KiB at a time and has no setting for it; with 1 MiB a download takes half the CPU time.

    Where a later httpcore has it elsewhere nothing is changed but the speed.
    """
    try:
        connection: Any = importlib.import_module("httpcore._sync.http11").HTTP11Connection
        connection.READ_NUM_BYTES = max(connection.READ_NUM_BYTES, 1024 * 1024)
    except (ImportError, AttributeError):
        return


def retry_after(text: str | None) -> float | None:
    """Seconds, from a number or a date; None for neither."""
    if not text:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def _hint(status: int) -> str | None:
    if status in (401, 403):
        return f"set NGC_API_KEY to a key that may read this model; keys are made at {KEY_PAGE}"
    if status == 429:
        return "try again in some minutes, or with fewer --jobs"
    if status >= 500:
        return "this is on the server's side: run the same command again later"
    return None


def _host(url: str) -> str:
    """Only the host: the rest of a signed URL is as good as a password."""
    try:
        return httpx.URL(url).host or "the server"
    except httpx.InvalidURL:
        return "the server"


def _why(error: Exception) -> str:
    """The system's reason, for the cases that a person can do something about."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror.lower()}"
        cause = cause.__cause__ or cause.__context__
    return ""
