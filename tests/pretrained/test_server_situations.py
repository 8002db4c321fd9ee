"""What a server, a proxy or a setting can do to a pull: a clear error with the next step, and nothing is lost."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import resource
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ngc_server import FakeNgc, cut_at, noise

from taorunner.errors import MachineError, TaorunnerError, UserFilesError
from taorunner.pretrained.connection import CERTIFICATE_VARIABLES, make_client
from taorunner.pretrained.http import MAX_REPLY_BYTES, SIGN_IN, Patience, Wire, retry_after
from taorunner.pretrained.names import NgcModel, inner_path, name_conflict
from taorunner.pretrained.ngc import Ngc
from taorunner.pretrained.pull import Pulled, pull_files

MODEL = NgcModel("nvidia", "tao", "net", "v1")
FILE = "net.hdf5"
CONTENT = noise(400_000, 5)
PAGE = b"<!doctype html><title>Sign in</title>" + b"x" * 400_000
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *(name.lower() for name in PROXIES), *CERTIFICATE_VARIABLES):
        monkeypatch.delenv(name, raising=False)


class Silent:
    def begins(self, model: str, files: Any) -> None: ...
    def advanced(self, path: str, have: int) -> None: ...
    def tells(self, text: str) -> None: ...


@pytest.fixture
def server() -> Iterator[FakeNgc]:
    with FakeNgc({"nvidia/tao/net": {"v1": {FILE: CONTENT}}}) as ngc:
        yield ngc


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repositories/net/net_vv1"


@pytest.fixture
def pull(server: FakeNgc, folder: Path) -> Callable[[], Pulled]:
    def run() -> Pulled:
        with Ngc(Wire(Patience(tries=3, first_wait_s=0.001, read_s=5)), server.environ, lambda: None) as ngc:
            return pull_files(
                str(MODEL), ngc.files(MODEL), folder, ngc.addresses(MODEL), ngc.wire, Silent(), 2
            )

    return run


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Starts a server that answers each request by that function; gives its address."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_GET(self) -> None:
                self.close_connection = True
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    return

            def do_CONNECT(self) -> None:
                self.do_GET()

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = False  # the end of the test waits for what they still send
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def say(handler: Any, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Connection", "close")  # else a next request may be sent on what is being closed
    handler.end_headers()
    handler.wfile.write(body)


def instead(status: int, body: bytes, **headers: str) -> Any:
    """A fault of the storage: this in place of the file."""

    def fault(handler: Any, _content: bytes) -> bool:
        say(handler, status, body, **headers)
        return True

    return fault


def part_of(folder: Path) -> bytes:
    """What is kept of the interrupted file."""
    return (folder.parent / f".{folder.name}.partial" / f"{FILE}.part").read_bytes()


def ask(url: str) -> Any:
    with Ngc(Wire(Patience(tries=1, read_s=5)), {"TAORUNNER_NGC_URL": url}, lambda: None) as ngc:
        return ngc.files(MODEL)


# ---- settings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "said", "hint"),
    [
        ("socks5://ada:secret@host.example:1080",
         'the proxy "socks5://host.example:1080" (ALL_PROXY) needs the package socksio, which is not installed',
         "pip install 'httpx[socks]', or name an HTTP proxy in HTTPS_PROXY"),
        ("gopher://ada:secret@host.example:70", '"gopher://host.example:70" (ALL_PROXY) is not the address of a proxy',
         "write it as http://HOST:PORT, or unset the variable"),
        ("http://host.example:port", '"http://host.example:port" (ALL_PROXY) is not the address of a proxy',
         "write it as http://HOST:PORT, or unset the variable"),
        ("http://[::1", '"http://[::1" (ALL_PROXY) is not the address of a proxy',
         "write it as http://HOST:PORT, or unset the variable"),
    ],
)  # fmt: skip
def test_a_proxy_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, proxy: str, said: str, hint: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(MachineError) as caught:
        Wire(Patience())
    assert (caught.value.message, caught.value.hint) == (said, hint)


def test_the_wrong_one_of_two_proxies_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://fine.example:3128")
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    with pytest.raises(MachineError, match=r'^"nonsense://x" \(HTTPS_PROXY\) is not the address of a proxy$'):
        Wire(Patience())


@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file or directory"), (b"", "it holds no certificate")]
)
def test_certificates_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(variable, str(file))
    with pytest.raises(MachineError) as caught:
        Wire(Patience())
    assert caught.value.message == f'the certificates of {variable} ("{file}") cannot be read: {reason}'
    assert caught.value.hint == f"correct {variable}, or unset it"


@pytest.mark.parametrize("variable", [None, *CERTIFICATE_VARIABLES])
def test_the_certificates_of_a_company_are_trusted(
    tmp_path: Path, variable: str | None, certificate: Path
) -> None:
    import ssl

    import httpx

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        raw, _ = listening.accept()
        try:
            with context.wrap_socket(raw, server_side=True) as client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        except OSError:
            return

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    url = f"https://localhost:{listening.getsockname()[1]}/"
    with make_client({variable: str(certificate)} if variable else {}) as client:
        if variable is None:
            with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                client.get(url)
        else:
            assert client.get(url).text == "hi"
    thread.join(100)
    listening.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that signs itself, with its key, as PEM."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days",
         "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    both = folder / "both.pem"
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


def test_a_proxy_that_wants_a_login(monkeypatch: pytest.MonkeyPatch, serve: Callable[[Answer], str]) -> None:
    proxy = serve(lambda handler: say(handler, 407))
    monkeypatch.setenv("ALL_PROXY", proxy.replace("http://", "http://ada:secret@"))
    for url, said in (
        (
            "https://api.example",
            "the proxy does not connect to api.example: 407 Proxy Authentication Required",
        ),
        ("http://api.example", "api.example answered 407: the proxy wants a login"),
    ):
        with pytest.raises(MachineError) as caught:
            ask(url)
        assert caught.value.message == said
        assert "HTTPS_PROXY" in (caught.value.hint or "")
        assert "secret" not in f"{caught.value.message} {caught.value.hint}"


# ---- the list of files -----------------------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(b" " * 2**20) for _ in range(size // 2**20)) + packer.flush()


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        (lambda h: say(h, 200, PAGE, Content_Type="text/html; charset=utf-8"), "answered with a web page", SIGN_IN),
        (lambda h: say(h, 302, Location="http://portal.example/login?x=1"), "NGC redirects to portal.example", SIGN_IN),
        (lambda h: say(h, 302, Location="http://[portal"), "redirects to an unreadable address", "try again later"),
        (lambda h: say(h, 511), "511: the network wants a login first", SIGN_IN),
        (lambda h: say(h, 200, b" " * (MAX_REPLY_BYTES + 1)), "an answer of more than 4.0 MiB", "HTTPS_PROXY"),
        (lambda h: say(h, 200, bomb(2**27), Content_Encoding="gzip"), "an answer of more than 4.0 MiB", "HTTPS_PROXY"),
        (lambda h: say(h, 200, b"[" * 200_000), "NGC sent an unreadable response", "proxy"),
        (lambda h: say(h, 200, b'{"a":'), "NGC sent an unreadable response", "proxy"),
        (lambda h: say(h, 200, b"{}", Content_Encoding="br"), 'packs its answer as "br"', "HTTPS_PROXY"),
        (lambda h: say(h, 200, b"{}", Content_Encoding="gzip"), "the packed answer of the server is damaged", "again"),
        (lambda h: say(h, 200, gzip.compress(b"{}")[:-9], Content_Encoding="gzip"), "ended its answer too early", "again"),
        (lambda h: say(h, 503, Retry_After="Mon, 01 Jan 99999 00:00:00 GMT"), "503: service unavailable", "later"),
        (lambda h: say(h, 200, gzip.compress(b"{}"), Content_Encoding="gzip"), 'the list of files of "nvidia/tao/net:v1" is '
         "empty", "choose another version"),
    ],
)  # fmt: skip
def test_answers_that_are_no_list(
    serve: Callable[[Answer], str], answer: Answer, said: str, hint: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TaorunnerError) as caught:
        ask(serve(answer))
    assert isinstance(caught.value, (MachineError, UserFilesError))
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_list_without_end(serve: Callable[[Answer], str]) -> None:
    row = '{"path": "f%d", "sizeInBytes": 1}'

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        rows = ",".join(row % number for number in range(20_000))
        say(handler, 200, f'{{"modelFiles": [{rows}], "paginationInfo": {{"totalPages": 1000}}}}'.encode())

    with pytest.raises(MachineError, match=r'^NGC lists more than 50,000 rows for "nvidia/tao/net:v1"$'):
        ask(serve(answer))


@pytest.mark.parametrize(
    "path", [".", "", "/x", "../x", "a/../b", "a//b", "./a", "a\\b", "a\nb", ".taorunner.json"]
)
def test_names_that_are_no_files(path: str) -> None:
    with pytest.raises(UserFilesError):
        inner_path(path)
    assert inner_path("a/.taorunner.json") == "a/.taorunner.json"


@pytest.mark.parametrize(
    ("paths", "conflict"),
    [
        (["a", "b/c", "b/d"], None), (["a", "a"], "a"), (["a", "a/b"], "a/b"), (["a/b/c", "a"], "a/b/c"),
        (["a", "a.part"], "a.part"), (["a.part.json", "a"], "a.part.json"), (["a.part", "b"], None),
    ],
)  # fmt: skip
def test_names_that_cannot_be_together(paths: list[str], conflict: str | None) -> None:
    assert name_conflict(paths) == conflict


def test_such_a_list_is_refused(server: FakeNgc, pull: Callable[[], Pulled], folder: Path) -> None:
    server.models["nvidia/tao/net"]["v1"][f"{FILE}.part"] = b"x"
    with pytest.raises(
        UserFilesError, match=f'^"{FILE}.part" of "{MODEL}" cannot be stored beside its other files$'
    ):
        pull()
    assert not folder.exists()


# ---- the file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_part", [False, True])
@pytest.mark.parametrize("body", [PAGE, PAGE[: len(CONTENT)]])
def test_a_web_page_is_no_file(
    server: FakeNgc, pull: Callable[[], Pulled], folder: Path, has_part: bool, body: bytes
) -> None:
    server.no_sums = True
    cut = [cut_at(150_000)] if has_part else []
    server.store_faults = [*cut, instead(200, body, Content_Type="text/html")]
    with pytest.raises(MachineError) as caught:
        pull()
    assert (caught.value.message, caught.value.hint) == ("127.0.0.1 answered with a web page", SIGN_IN)
    kept = part_of(folder)
    assert kept == CONTENT[: len(kept)]
    assert bool(kept) is has_part
    pull()
    assert (folder / FILE).read_bytes() == CONTENT


def test_another_length_is_another_file(server: FakeNgc, pull: Callable[[], Pulled], folder: Path) -> None:
    server.store_faults = [instead(200, b"x" * 1000)]
    with pytest.raises(MachineError) as caught:
        pull()
    assert (
        caught.value.message
        == f'the server sends 1000 bytes of "{FILE}", which has {len(CONTENT)} in the list'
    )
    pull()
    assert (folder / FILE).read_bytes() == CONTENT


def ranged(content: bytes, **headers: str) -> Any:
    """A storage without ETag: ``content`` from where it is asked, to its end."""

    def fault(handler: Any, _content: bytes) -> bool:
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        say(handler, 206 if start else 200, content[start:], **headers)
        return True

    return fault


def cut(content: bytes, end: int, **headers: str) -> Any:
    def fault(handler: Any, _content: bytes) -> bool:
        say(handler, 200, content[:end], Content_Length=str(len(content)), **headers)
        handler.connection.shutdown(socket.SHUT_WR)
        return True

    return fault


OLD, NEW = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize("has_sum", [False, True])
@pytest.mark.parametrize(
    ("before", "after", "is_continued"),
    [
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, True),
        ({"ETag": 'W/"1"'}, {"ETag": 'W/"2"'}, False),
        ({"ETag": '"1"'}, {"ETag": '"2"'}, False),
        ({"Last_Modified": OLD}, {"Last_Modified": OLD}, True),
        ({"Last_Modified": OLD}, {"Last_Modified": NEW}, False),
        ({}, {}, None),
        ({"ETag": '"1"'}, {"Last_Modified": OLD}, None),
    ],
)
def test_two_versions_are_never_glued(
    server: FakeNgc, pull: Callable[[], Pulled], folder: Path, before: dict[str, str], after: dict[str, str],
    is_continued: bool | None, has_sum: bool,
) -> None:  # fmt: skip
    """None: nothing tells the versions apart, so only a checksum allows to continue."""
    server.no_sums = not has_sum
    other = noise(len(CONTENT), 6)
    first = CONTENT if is_continued or has_sum else other
    server.store_faults = [cut(first, 150_000, **before), *[ranged(CONTENT, **after)] * 3]
    pull()
    assert (folder / FILE).read_bytes() == CONTENT
    ranges = ["range" in seen.headers for seen in server.at("store")]
    continues = is_continued if is_continued is not None else has_sum
    assert ranges == ([False, True] if continues else [False, True, False])


def test_a_packed_file_is_unpacked(server: FakeNgc, pull: Callable[[], Pulled], folder: Path) -> None:
    packed = gzip.compress(CONTENT)
    server.store_faults = [instead(200, packed, Content_Encoding="gzip")]
    pull()
    assert (folder / FILE).read_bytes() == CONTENT
    assert server.at("store")[0].headers["accept-encoding"] == "identity"


def test_a_packed_file_that_breaks_is_not_continued_packed(
    server: FakeNgc, pull: Callable[[], Pulled], folder: Path
) -> None:
    packed = gzip.compress(CONTENT)
    server.store_faults = [cut(packed, 200_000, Content_Encoding="gzip")]
    server.store_faults += [ranged(packed, Content_Encoding="gzip")] * 2
    pull()
    assert (folder / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("status", "reason"), [(403, "access is denied"), (404, "not found"), (410, "request refused")]
)
def test_a_storage_that_refuses_is_no_matter_of_the_key(
    server: FakeNgc, pull: Callable[[], Pulled], folder: Path, status: int, reason: str
) -> None:
    server.store_faults = [cut_at(150_000), *[instead(status, b"")] * 3]
    with pytest.raises(MachineError) as caught:
        pull()
    assert caught.value.message == f'the storage refuses "{FILE}": 127.0.0.1 answered {status}: {reason}'
    assert caught.value.hint == "check this machine's clock (date -u) and its proxy; else try again later"
    assert "NGC_API_KEY" not in f"{caught.value.message} {caught.value.hint}"
    assert part_of(folder) == CONTENT[:150_000]
    assert hashlib.sha256((pull().folder / FILE).read_bytes()).digest() == hashlib.sha256(CONTENT).digest()


@pytest.mark.parametrize(
    "text", ["Mon, 01 Jan 99999 00:00:00 GMT", "x", "-1", "1e9", "Mon, 99 Foo 2024", "٣"]
)
def test_a_wish_to_wait_that_is_none(text: str) -> None:
    assert retry_after(text) is None
