"""HTTP requests with retries, back-off, Retry-After and readable errors that contain no secrets.

The only module that makes requests. httpx exceptions never leave it, as they carry the request and with it the key.
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
from urllib.parse import urljoin, urlsplit

import httpx

from taorunner.errors import MachineError
from taorunner.pretrained.api_key import KEY_PAGE
from taorunner.pretrained.connection import make_client
from taorunner.text import duration, printable
from taorunner.values.bounded_reading import (
    MAX_JSON_BYTES,
    CutOffError,
    TooMuchError,
    UnknownPackingError,
    parse_json,
    unpacked,
    whole,
)
from taorunner.version import __version__

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
GOES_ON = "run the same command again to resume"
LONGEST_WAIT_S = 300.0
"""Longest Retry-After that is waited for."""
MAX_REPLY_BYTES = MAX_JSON_BYTES
"""More than any list of files that NGC sends. Replies are kept in memory."""
SIGN_IN = (
    "a login page of your network may answer: open any page in a browser and sign in, or check HTTPS_PROXY"
)
MAX_REPLY_S = 120.0
"""A reply that trickles would be waited for until it has 4 MiB."""

_REASONS = {
    400: "bad request",
    401: "the API key is not accepted",
    403: "access is denied",
    404: "not found",
    407: "the proxy wants a login",
    408: "request timeout",
    412: "the licence terms are not accepted yet",
    429: "too many requests",
    500: "internal server error",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
    507: "no space left on the server",
    511: "the network wants a login first",
}


class HttpRefusalError(MachineError):
    """An HTTP error status. Callers decide by ``status``; ``asked_s`` is the Retry-After."""

    def __init__(self, status: int, host: str, asked_s: float | None = None) -> None:
        reason = _REASONS.get(status, "request refused")
        super().__init__(f"{host} answered {status}: {reason}", hint=_hint(status))
        self.status, self.asked_s = status, asked_s


class ConnectionLostError(MachineError):
    """No response, or an incomplete one: another try may help."""


class WebPageError(MachineError):
    """A web page came in place of what was asked for, as from a captive portal."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} answered with a web page", hint=SIGN_IN)


class Interrupted(Exception):  # noqa: N818 (not an error: requested by the user)
    """Ctrl-C was pressed; downloaded data is kept."""


@dataclass(slots=True)
class Patience:
    """Number and timing of retries. ``tries`` are counted from the last received byte."""

    tries: int = 5
    first_wait_s: float = 0.5
    connect_s: float = 10.0
    read_s: float = 60.0
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = lambda _text: None

    def wait(self, failed: int, error: MachineError, asked_s: float | None = None) -> None:
        """Sleeps before try ``failed + 1``, or raises ``error`` after the last try."""
        if failed >= self.tries:
            raise error
        seconds = asked_s
        if seconds is None:
            seconds = min(30.0, self.first_wait_s * 2 ** (failed - 1)) * random.uniform(0.5, 1.0)
        if seconds > LONGEST_WAIT_S:
            error.hint = f"try again in {seconds:.0f} seconds, as the server asks"
            raise error
        if seconds >= 1:
            self.tell(f"{error.message}; trying again in {duration(seconds)}")
        if self.stop.wait(seconds):
            raise Interrupted


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete response. Its body is limited to ``MAX_REPLY_BYTES``."""

    status_code: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> Any:
        """Raises ValueError for a body that is not JSON, or nested too deeply."""
        return parse_json(self.body)


class Wire:
    """A connection pool. ``headers`` of a request are sent to that URL only, never to a redirect's target."""

    def __init__(self, patience: Patience, connections: int = 8) -> None:
        self.patience = patience
        _read_large_pieces()
        self._client = make_client(
            follow_redirects=False,
            timeout=httpx.Timeout(patience.read_s, connect=patience.connect_s),
            limits=httpx.Limits(max_connections=connections + 2),
            headers={"User-Agent": f"taorunner/{__version__}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._client.close()

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """The complete response or a redirect.

        Raises:
            HttpRefusalError, ConnectionLostError: after retries. MachineError: a web page, more than
                ``MAX_REPLY_BYTES``, or more than ``MAX_REPLY_S`` for them.
        """
        failed = 0
        while True:
            try:
                with self.open(url, headers) as response:
                    return Reply(response.status_code, response.headers, _whole_body(response, _host(url)))
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
        """One try, with an unread body. Statuses from 400 raise HttpRefusalError, except 416."""
        host = _host(url)
        try:
            with self._client.stream("GET", url, headers=dict(headers or {})) as response:
                if response.status_code >= 400 and response.status_code != 416:
                    asked_s = retry_after(response.headers.get("Retry-After"))
                    raise HttpRefusalError(response.status_code, host, asked_s)
                yield response
        except httpx.TimeoutException:
            raise ConnectionLostError(f"{host} does not answer", hint=_OFFLINE) from None
        except httpx.ProxyError as error:
            text = printable(str(error)[:200])
            hint = "check HTTPS_PROXY: its user and password are part of the address"
            raise ConnectionLostError(f"the proxy does not connect to {host}: {text}", hint=hint) from None
        except httpx.UnsupportedProtocol:
            raise MachineError(f"{host} is not reached over http or https", hint=_OFFLINE) from None
        except httpx.ConnectError as error:
            raise ConnectionLostError(f"{host} cannot be reached{_why(error)}", hint=_OFFLINE) from None
        except httpx.TransportError:
            raise ConnectionLostError(
                f"the connection to {host} broke",
                hint=GOES_ON,
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise MachineError(f"{host} sent an unreadable response") from None


_OFFLINE = (
    "check network and proxy (HTTPS_PROXY); without a network, copy the model's folder and use --from DIR"
)


def body_of(response: httpx.Response) -> Iterator[bytes]:
    """The body in pieces, unpacked where a server or proxy packs it although it was asked not to.

    Raises:
        ConnectionLostError: it ends too early. MachineError: it is packed in another way than gzip or deflate.
    """
    try:
        yield from unpacked(response.iter_raw(), packing_of(response))
    except UnknownPackingError as error:
        raise MachineError(
            f'the server packs its answer as "{printable(str(error)[:40])}", which was not asked for',
            hint="check the proxy (HTTPS_PROXY): it may change what it passes on",
        ) from None
    except CutOffError as error:
        raise ConnectionLostError(str(error), hint=GOES_ON) from None


def packing_of(response: httpx.Response) -> str | None:
    """The content encoding; None for a body as it is."""
    packing = str(response.headers.get("Content-Encoding", "")).strip().lower()
    return None if packing in ("", "identity") else packing


def is_web_page(headers: Mapping[str, str]) -> bool:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in ("text/html", "application/xhtml+xml")


def redirect_target(url: str, location: str) -> str:
    """Where a redirect from ``url`` leads. Raises MachineError for an address that cannot be read."""
    try:
        target = urljoin(url, location)
        urlsplit(target)
    except ValueError:
        raise MachineError(
            f"{_host(url)} redirects to an unreadable address", hint="try again later"
        ) from None
    return target


def _whole_body(response: httpx.Response, host: str) -> bytes:
    try:
        body = whole(body_of(response), most_bytes=MAX_REPLY_BYTES, within_s=MAX_REPLY_S)
    except TooMuchError as error:
        raise MachineError(f"{host} sends {error}", hint="check the proxy (HTTPS_PROXY)") from None
    if is_web_page(response.headers) and not response.is_redirect:
        raise WebPageError(host)
    return body


def _read_large_pieces() -> None:
    """Raises httpcore's read size from 64 KiB, which has no setting, to 1 MiB: downloads take half the CPU time.

    If a later httpcore changes this attribute, only the speed is affected.
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
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def _hint(status: int) -> str | None:
    if status in (401, 403):
        return f"set NGC_API_KEY to a key that may read this model; create keys at {KEY_PAGE}"
    if status == 407:
        return "write user and password into HTTPS_PROXY: http://USER:PASSWORD@HOST:PORT"
    if status == 511:
        return SIGN_IN
    if status == 429:
        return "try again in some minutes, or with fewer --jobs"
    if status >= 500:
        return "run the same command again later: the error is on the server"
    return None


def _host(url: str) -> str:
    """Only the host: the rest of a signed URL is a secret."""
    try:
        return httpx.URL(url).host or "the server"
    except httpx.InvalidURL:
        return "the server"


def _why(error: Exception) -> str:
    """The reason, for cases that the user can fix."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": its certificate is not trusted ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror.lower()}"
        cause = cause.__cause__ or cause.__context__
    return ""
