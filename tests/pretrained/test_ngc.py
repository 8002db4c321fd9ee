"""Which server gets the key, what is requested, and what a refusal says."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from ngc_server import FakeNgc

from taorunner.errors import MachineError, TaorunnerError, UserFilesError
from taorunner.pretrained.api_key import ApiKey, find_key
from taorunner.pretrained.http import Patience, Wire
from taorunner.pretrained.names import NgcModel
from taorunner.pretrained.ngc import Ngc, RemoteVersion

PUBLIC = NgcModel("nvidia", "tao", "public", "v1")
PRIVATE = NgcModel("nvaie", "lab", "private", "v1")
FILES = {"a.pth": b"weights"}


@pytest.fixture
def server() -> Iterator[FakeNgc]:
    models = {"nvidia/tao/public": {"v1": FILES, "v2": FILES}, "nvaie/lab/private": {"v1": FILES}}
    with FakeNgc(models, private={"nvaie/lab/private"}) as ngc:
        yield ngc


Connect = Callable[..., Ngc]


@pytest.fixture
def connect(server: FakeNgc) -> Iterator[Connect]:
    wires: list[Wire] = []

    def made(key: str | None = None, environ: Mapping[str, str] | None = None) -> Ngc:
        wires.append(Wire(Patience(first_wait_s=0.01)))
        return Ngc(wires[-1], environ or server.environ, lambda: ApiKey(key) if key else None)

    yield made
    for wire in wires:
        wire.close()


def authorizations(server: FakeNgc, where: str) -> set[str | None]:
    return {seen.headers.get("authorization") for seen in server.at(where)}


def fetched(ngc: Ngc, model: NgcModel) -> bytes:
    with ngc.wire.open(ngc.signed_url(model, "a.pth")) as response:
        return response.read()


def test_a_public_model_is_read_as_a_guest_even_with_a_key(server: FakeNgc, connect: Connect) -> None:
    ngc = connect("nvapi-new-2")
    assert [file.path for file in ngc.files(PUBLIC)] == ["a.pth"]
    assert fetched(ngc, PUBLIC) == b"weights"
    assert authorizations(server, "api") == {None}


@pytest.mark.parametrize("redirects", [False, True])
@pytest.mark.parametrize("key", ["nvapi-new-2", "old-key-1"])
def test_a_private_model_takes_the_key_and_the_store_never_sees_it(
    server: FakeNgc, connect: Connect, key: str, redirects: bool
) -> None:
    server.redirects = redirects
    ngc = connect(key)
    assert [file.path for file in ngc.files(PRIVATE)] == ["a.pth"]
    assert fetched(ngc, PRIVATE) == b"weights"
    bearer = "Bearer nvapi-new-2" if key == "nvapi-new-2" else "Bearer token-0"
    assert authorizations(server, "api") == {None, bearer}
    assert authorizations(server, "store") == {None}
    assert len(server.at("auth")) == (0 if key == "nvapi-new-2" else 1)


def test_a_token_is_bought_with_the_scopes_of_the_model(server: FakeNgc, connect: Connect) -> None:
    connect("old-key-1").files(PRIVATE)
    [seen] = server.at("auth")
    assert (seen.path, seen.query) == (
        "/token",
        "service=ngc&scope=group/ngc:nvaie&scope=group/ngc:nvaie/lab",
    )


def test_a_token_that_ended_early_is_renewed_once(server: FakeNgc, connect: Connect) -> None:
    ngc = connect("old-key-1")
    ngc.files(PRIVATE)
    server.tokens.pop("token-0")
    server.tokens["another"] = 0.0
    assert [file.path for file in ngc.files(PRIVATE)] == ["a.pth"]
    assert len(server.at("auth")) == 2


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, 'NGC denies guests access to "nvaie/lab/private:v1" (403)'),
        ("nvapi-wrong", 'NGC denies your API key access to "nvaie/lab/private:v1" (401)'),
        ("old-wrong", "NGC does not accept your API key (401)"),
    ],
)
def test_a_refusal_says_what_to_do_and_not_the_key(connect: Connect, key: str | None, message: str) -> None:
    with pytest.raises(MachineError) as caught:
        connect(key).files(PRIVATE)
    assert caught.value.message == message
    assert "https://org.ngc.nvidia.com/setup/api-key" in (caught.value.hint or "")
    trace = "".join(traceback.format_exception(caught.value))
    assert key is None or key not in trace


def test_unknown_models_and_versions_are_reported_with_what_there_is(connect: Connect) -> None:
    with pytest.raises(UserFilesError) as caught:
        connect().files(NgcModel("nvidia", "tao", "public", "v22"))
    assert caught.value.message == '"nvidia/tao/public" has no version "v22"'
    assert caught.value.hint == 'did you mean "v2"?'
    with pytest.raises(UserFilesError) as caught:
        connect().versions(NgcModel("nvidia", "tao", "pretrained_detectnet_v"))
    assert caught.value.message == 'NGC has no model "nvidia/tao/pretrained_detectnet_v"'
    assert caught.value.hint == 'did you mean "nvidia/tao/pretrained_detectnet_v2"?'


def test_versions_come_from_all_pages(server: FakeNgc, connect: Connect) -> None:
    server.page_size = 1
    assert connect().versions(NgcModel("nvidia", "tao", "public")) == [
        RemoteVersion(name, 7, 1, "2024-05-06T07:08:09Z", True) for name in ("v1", "v2")
    ]
    pages = ["page-number" in seen.query for seen in server.at("api")]
    assert pages == [False, True]


def test_a_version_that_is_still_uploaded_is_refused(server: FakeNgc, connect: Connect) -> None:
    server.status = "UPLOAD_PENDING"
    with pytest.raises(
        UserFilesError, match='"nvidia/tao/public:v1" is incomplete on NGC: its status is UPLOAD_PENDING'
    ):
        connect().files(PUBLIC)


def test_licence_terms_are_pointed_to(server: FakeNgc, connect: Connect) -> None:
    server.api_faults = [(412, {})]
    with pytest.raises(MachineError) as caught:
        connect().files(PUBLIC)
    assert caught.value.message == 'the licence terms of "nvidia/tao/public:v1" are not accepted yet'
    assert caught.value.hint == (
        "accept them at https://catalog.ngc.nvidia.com/orgs/nvidia/teams/tao/models/public, then pull again"
    )


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_an_ill_moment_of_ngc_is_sat_out(server: FakeNgc, connect: Connect, status: int) -> None:
    server.api_faults = [(status, {})] * 2
    assert [file.path for file in connect().files(PUBLIC)] == ["a.pth"]


def test_no_server_at_the_address_is_reported(connect: Connect) -> None:
    with pytest.raises(MachineError) as caught:
        connect(environ={"TAORUNNER_NGC_URL": "http://127.0.0.1:9"}).files(PUBLIC)
    assert caught.value.message == "127.0.0.1 cannot be reached: connection refused"
    assert "--from DIR" in (caught.value.hint or "")


def test_a_key_is_not_sent_unencrypted_to_another_machine(server: FakeNgc, connect: Connect) -> None:
    environ = {**server.environ, "TAORUNNER_NGC_AUTH_URL": "http://mirror.invalid"}
    with pytest.raises(MachineError, match=r"the API key is not sent to mirror\.invalid without encryption"):
        connect("old-key-1", environ).files(PRIVATE)


@pytest.mark.parametrize(
    ("environ", "config", "expected"),
    [
        ({"NGC_API_KEY": " k1 "}, "[CURRENT]\napikey = k2\n", "k1"),
        ({"NGC_API_KEY": "two words"}, "[CURRENT]\napikey = k2\n", "k2"),
        ({}, ";comment\n[CURRENT]\napikey = k%2\nformat_type = ascii\n", "k%2"),
        ({}, "[CURRENT]\napikey = no-apikey\n", None),
        ({}, "[A]\nformat_type = ascii\n[B]\napikey = no-apikey\n[C]\napikey = k3\n", "k3"),
        ({}, "[A]\nformat_type = ascii\n", None),
        ({"NGC_CLI_API_KEY": "k4", "NGC_API_KEY": ""}, None, "k4"),
        ({}, "apikey = k2\n", None),
        ({}, None, None),
    ],
)
def test_where_the_key_comes_from(
    tmp_path: Path, environ: dict[str, str], config: str | None, expected: str | None
) -> None:
    if config is not None:
        (tmp_path / ".ngc").mkdir()
        (tmp_path / ".ngc" / "config").write_text(config)
    key = find_key(environ, tmp_path)
    assert (key.reveal() if key else None) == expected
    assert repr(key) in ("ApiKey(***)", "None")


def test_errors_are_ours(server: FakeNgc, connect: Connect) -> None:
    server.api_faults = [(418, {})]
    with pytest.raises(TaorunnerError, match=r"127\.0\.0\.1 answered 418: request refused"):
        connect().files(PUBLIC)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_key_that_buys_no_token_is_reported(server: FakeNgc, connect: Connect, status: int) -> None:
    server.auth_faults = [(status, {})]
    with pytest.raises(MachineError) as caught:
        connect("old-key-1").files(PRIVATE)
    assert caught.value.message == f"NGC does not accept your API key ({status})"


def test_another_refusal_of_a_token_is_not_the_keys_fault(server: FakeNgc, connect: Connect) -> None:
    server.auth_faults = [(418, {})]
    with pytest.raises(TaorunnerError, match=r"127\.0\.0\.1 answered 418: request refused"):
        connect("old-key-1").files(PRIVATE)


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'{"token": 5}', b'{"token": "two words"}', b"none"])
def test_an_answer_without_a_token_is_reported(server: FakeNgc, connect: Connect, answer: bytes) -> None:
    server.auth_answer = answer
    with pytest.raises(MachineError) as caught:
        connect("old-key-1").files(PRIVATE)
    assert caught.value.message == "NGC returned no token for your API key"


@pytest.mark.parametrize("size", [None, -1, True, "7", 1.5])
def test_a_file_of_unknown_size_is_refused(server: FakeNgc, connect: Connect, size: object) -> None:
    server.sizes["a.pth"] = size
    with pytest.raises(UserFilesError) as caught:
        connect().files(PUBLIC)
    assert caught.value.message == 'NGC does not say how large "a.pth" of "nvidia/tao/public:v1" is'
