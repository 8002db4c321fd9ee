"""What is waited for, what is unpacked, and what the words of an error are: without a server."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest

from taorunner.errors import MachineError
from taorunner.pretrained import http
from taorunner.pretrained.http import (
    LONGEST_WAIT_S,
    SIGN_IN,
    ConnectionLostError,
    HttpRefusalError,
    Interrupted,
    Patience,
    Reply,
    Wire,
    body_of,
    is_web_page,
    redirect_target,
    retry_after,
)


class Stop:
    """Stands for the event of Ctrl-C: keeps how long it was waited for instead of waiting."""

    def __init__(self, pressed: bool = False) -> None:
        self.waited: list[float] = []
        self._pressed = pressed

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return self._pressed


def patience(stop: Stop, tell: list[str], tries: int = 9) -> Patience:
    return Patience(tries, 0.5, stop=stop, tell=tell.append)  # type: ignore[arg-type]


@pytest.mark.parametrize(("chance", "factor"), [("min", 0.5), ("max", 1.0)])
def test_each_try_waits_twice_as_long_up_to_half_a_minute(
    chance: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.random, "uniform", min if chance == "min" else max)
    stop, told = Stop(), list[str]()
    for failed in range(1, 9):
        patience(stop, told).wait(failed, MachineError("busy"))
    assert stop.waited == [factor * one for one in (0.5, 1, 2, 4, 8, 16, 30, 30)]
    assert told == [f"busy; trying again in {one:.0f}s" for one in stop.waited if one >= 1]


def test_the_last_try_a_long_wait_and_ctrl_c_end_it() -> None:
    error = MachineError("busy")
    for failed, stop in ((3, Stop()), (4, Stop())):
        with pytest.raises(MachineError) as caught:
            patience(stop, [], tries=3).wait(failed, error)
        assert caught.value is error and stop.waited == []
    patience(stop := Stop(), [], tries=3).wait(2, error, 0.0)
    assert stop.waited == [0.0]
    patience(stop := Stop(), [], tries=3).wait(1, error, LONGEST_WAIT_S)
    assert (stop.waited, error.hint) == ([LONGEST_WAIT_S], None)
    with pytest.raises(MachineError) as caught:
        patience(Stop(), []).wait(1, error, LONGEST_WAIT_S + 1)
    assert caught.value.hint == "try again in 301 seconds, as the server asks"
    with pytest.raises(Interrupted):
        patience(Stop(pressed=True), []).wait(1, error)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), (" 0 ", 0.0), ("", None), (None, None), ("-1", None), ("1.5", None), ("²", None)]
)  # fmt: skip
def test_the_number_of_retry_after(text: str | None, seconds: float | None) -> None:
    assert retry_after(text) == seconds


def test_the_date_of_retry_after() -> None:
    later = datetime.now(timezone.utc) + timedelta(seconds=100)
    for text in (
        format_datetime(later),
        format_datetime(later, usegmt=True),
        later.strftime("%d %b %Y %H:%M:%S -0000"),
    ):
        assert 90 < (retry_after(text) or 0) <= 100
    assert retry_after(format_datetime(later - timedelta(days=1))) == 0.0


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (400, "bad request", None),
        (401, "the API key is not accepted", "set NGC_API_KEY to a key that may read this model"),
        (403, "access is denied", "set NGC_API_KEY to a key that may read this model"),
        (404, "not found", None),
        (407, "the proxy wants a login", "write user and password into HTTPS_PROXY"),
        (418, "request refused", None),
        (429, "too many requests", "try again in some minutes, or with fewer --jobs"),
        (499, "request refused", None),
        (500, "internal server error", "run the same command again later: the error is on the server"),
        (511, "the network wants a login first", SIGN_IN),
    ],
)
def test_what_a_status_means(status: int, reason: str, hint: str | None) -> None:
    error = HttpRefusalError(status, "ngc", 5.0)
    assert (error.message, error.status, error.asked_s) == (f"ngc answered {status}: {reason}", status, 5.0)
    assert error.hint is None if hint is None else (error.hint or "").startswith(hint)


def response(content: bytes, **headers: str) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 7):
            yield content[start : start + 7]

    return httpx.Response(
        200, headers={key.replace("_", "-"): value for key, value in headers.items()}, content=pieces()
    )


TEXT = b"weights " * 50


@pytest.mark.parametrize(
    ("content", "packing"),
    [
        (TEXT, None), (TEXT, ""), (TEXT, " Identity "), (gzip.compress(TEXT, mtime=0), "gzip"), (gzip.compress(TEXT, mtime=0), "X-GZIP"),
        (zlib.compress(TEXT), "deflate"),
    ],
)  # fmt: skip
def test_a_packed_body_is_unpacked(content: bytes, packing: str | None) -> None:
    headers = {} if packing is None else {"Content_Encoding": packing}
    assert b"".join(body_of(response(content, **headers))) == TEXT


@pytest.mark.parametrize(
    ("content", "packing", "message"),
    [
        (TEXT, "br", 'the server packs its answer as "br", which was not asked for'),
        (TEXT, "gzip", "the packed answer of the server is damaged"),
        (gzip.compress(TEXT, mtime=0)[:-9], "gzip", "the server ended its answer too early"),
    ],
)
def test_a_body_that_cannot_be_unpacked(content: bytes, packing: str, message: str) -> None:
    with pytest.raises(MachineError) as caught:
        list(body_of(response(content, Content_Encoding=packing)))
    assert caught.value.message == message
    assert isinstance(caught.value, ConnectionLostError) is (packing == "gzip")


@pytest.mark.parametrize(
    ("kind", "is_page"),
    [("text/html", True), ("Text/HTML; charset=utf-8", True), ("application/xhtml+xml", True), ("text/plain", False),
     ("application/json; a=text/html", False), (None, False)],
)  # fmt: skip
def test_a_web_page(kind: str | None, is_page: bool) -> None:
    assert is_web_page({} if kind is None else {"Content-Type": kind}) is is_page


def test_where_a_redirect_leads() -> None:
    assert redirect_target("https://a/b/c", "d") == "https://a/b/d"
    assert redirect_target("https://a/b/c", "https://x/y?z") == "https://x/y?z"
    with pytest.raises(MachineError, match=r"^a redirects to an unreadable address$"):
        redirect_target("https://a/b", "https://[x/")


def test_a_reply_that_is_nested_too_deeply_is_no_json() -> None:
    assert Reply(200, httpx.Headers(), b'{"a": 1}').json() == {"a": 1}
    with pytest.raises(ValueError):
        Reply(200, httpx.Headers(), b"[" * 200_000).json()


def certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("x")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("raised", "cause", "message", "kind"),
    [
        (httpx.ReadTimeout("x"), None, "far does not answer", ConnectionLostError),
        (httpx.ProxyError("407 \x1b login"), None, "the proxy does not connect to far: 407 \ufffd login", ConnectionLostError),
        (httpx.UnsupportedProtocol("x"), None, "far is not reached over http or https", MachineError),
        (httpx.ConnectError("x"), None, "far cannot be reached", ConnectionLostError),
        (httpx.ConnectError("x"), OSError(111, "Connection Refused"), "far cannot be reached: connection refused", ConnectionLostError),
        (httpx.ConnectError("x"), OSError("no number"), "far cannot be reached", ConnectionLostError),
        (httpx.ConnectError("x"), certificate(), "far cannot be reached: its certificate is not trusted (self-signed certificate)",
         ConnectionLostError),
        (httpx.ReadError("x"), None, "the connection to far broke", ConnectionLostError),
        (httpx.DecodingError("x"), None, "far sent an unreadable response", MachineError),
        (httpx.InvalidURL("x"), None, "far sent an unreadable response", MachineError),
    ],
)  # fmt: skip
def test_no_exception_of_httpx_leaves_the_module(
    raised: Exception, cause: Exception | None, message: str, kind: type[MachineError]
) -> None:
    wire = Wire(Patience())

    def refuse(*_: object, **__: object) -> httpx.Response:
        raise raised from cause

    wire._client.stream = refuse  # type: ignore[assignment, method-assign]
    with pytest.raises(MachineError) as caught, wire.open("https://far/secret"):
        pass
    assert (caught.value.message, type(caught.value)) == (message, kind)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    wire.close()


def test_an_address_without_a_host_is_the_servers() -> None:
    wire = Wire(Patience())
    for url in ("/relative", "https://a:b:c/"):
        with pytest.raises(MachineError, match=r"^the server "), wire.open(url):
            pass
    wire.close()
