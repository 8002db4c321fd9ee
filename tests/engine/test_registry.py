"""Digest and layers of an image, read from a registry that is a real server on this machine."""

from __future__ import annotations

import base64
import gzip
import json
import resource
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from http_servers import Request
from served import Served, serving

from taorunner.engine.client import Engine
from taorunner.engine.registry import RemoteLayer, UnknownSizeError, read_manifest, remote_digest
from taorunner.errors import TaorunnerError

DIGEST = "sha256:" + "ab" * 32
LAYERS = [{"digest": "sha256:a", "size": 10}, {"digest": "sha256:b", "size": "20"}]
MANIFEST = {"config": {"digest": "sha256:c"}, "layers": LAYERS}
CONFIG = {"rootfs": {"diff_ids": ["sha256:ua", "sha256:ub"]}}
KNOWN = (RemoteLayer("sha256:a", 10, "sha256:ua"), RemoteLayer("sha256:b", 20, "sha256:ub"))
UNKNOWN = (RemoteLayer("sha256:a", 10), RemoteLayer("sha256:b", 20))


@pytest.fixture
def served_registry() -> Iterator[Served]:
    with serving(0) as found:
        found.answers |= {
            "GET /v2/x/tao/manifests/5": (200, MANIFEST),
            "GET /v2/x/tao/blobs/sha256:c": (200, CONFIG),
        }
        yield found


def layers(engine: Engine, served_registry: Served, architecture: str = "x86_64") -> tuple[RemoteLayer, ...]:
    return read_manifest(engine, f"{served_registry.url}/x/tao:5", architecture)


def problem(engine: Engine, served_registry: Served, architecture: str = "x86_64") -> tuple[str, bool]:
    with pytest.raises(UnknownSizeError) as caught:
        layers(engine, served_registry, architecture)
    return str(caught.value).replace(served_registry.url, "HOST"), caught.value.is_absent


def test_the_current_digest(connected: Engine, served: Served) -> None:
    path = "GET /distribution/nvcr.io/tao:5/json"
    served.answers[path] = (200, {"Descriptor": {"digest": DIGEST}})
    assert remote_digest(connected, "nvcr.io/tao:5") == DIGEST
    served.answers[path] = (404, {"message": "manifest unknown: manifest unknown"})
    assert remote_digest(connected, "nvcr.io/tao:5") is None
    served.answers[path] = (500, {"message": "unauthorized: authentication required"})
    with pytest.raises(TaorunnerError, match="login"):
        remote_digest(connected, "nvcr.io/tao:5")


def test_the_layers_of_an_image(connected: Engine, served_registry: Served) -> None:
    assert layers(connected, served_registry) == KNOWN
    manifest = served_registry.of("GET", "/v2/x/tao/manifests/5").headers
    assert "application/vnd.oci.image.manifest.v1+json" in manifest["accept"]
    assert "application/vnd.oci.image.index.v1+json" in manifest["accept"]
    assert "authorization" not in manifest


@pytest.mark.parametrize(
    "answer",
    [(404, {}), (200, {}), (200, {"rootfs": None}), (200, {"rootfs": {"diff_ids": ["sha256:ua"]}})],
)
def test_without_the_configuration_the_unpacked_layers_are_unknown(
    answer: Any, connected: Engine, served_registry: Served
) -> None:
    served_registry.answers["GET /v2/x/tao/blobs/sha256:c"] = answer
    assert layers(connected, served_registry) == UNKNOWN


def test_the_image_for_the_engines_processor_is_chosen(connected: Engine, served_registry: Served) -> None:
    index = {
        "manifests": [
            {"digest": "sha256:win", "platform": {"architecture": "amd64", "os": "windows"}},
            {"digest": "sha256:odd"},
            {"digest": "sha256:arm", "platform": {"architecture": "arm64", "os": "linux"}},
            {"digest": "sha256:amd", "platform": {"architecture": "amd64"}},
        ]
    }
    served_registry.answers["GET /v2/x/tao/manifests/5"] = (200, index)
    served_registry.answers["GET /v2/x/tao/manifests/sha256:amd"] = (200, MANIFEST)
    served_registry.answers["GET /v2/x/tao/manifests/sha256:arm"] = (200, {**MANIFEST, "layers": LAYERS[:1]})
    assert layers(connected, served_registry) == KNOWN
    accepted = served_registry.of("GET", "/v2/x/tao/manifests/sha256:amd").headers["accept"]
    assert "index" not in accepted and "manifest.list" not in accepted
    assert layers(connected, served_registry, "aarch64") == UNKNOWN[:1]
    assert layers(connected, served_registry, "arm64") == UNKNOWN[:1]
    assert problem(connected, served_registry, "s390x") == ("the image is not built for s390x", False)


@pytest.mark.parametrize(
    ("answer", "said", "is_absent"),
    [
        ((404, {}), "HOST answers 404", True),
        ((500, {}), "HOST answers 500", False),
        ((200, {}), "HOST sent a response of an unknown form", False),
        ((200, []), "HOST sent a response of an unknown form", False),
        ((200, b"<html>"), "HOST sent a response of an unknown form", False),
        ((200, {"layers": [{"digest": "x", "size": "many"}]}), "HOST sent a response of an unknown form", False),
        ((200, b'"' + b"x" * (4 << 20) + b'"'), "HOST sent too much: an answer of more than 4.0 MiB", False),
        ((401, {}), "HOST requires an unknown kind of login", False),
        ((401, ({}, {"WWW-Authenticate": "Basic realm=x"})), "HOST requires a login", False),
        ((401, ({}, {"WWW-Authenticate": 'Bearer realm="http://far.example/token"'})),
         "HOST requires an unknown kind of login", False),
    ],
)  # fmt: skip
def test_why_a_size_is_unknown(
    answer: Any, said: str, is_absent: bool, connected: Engine, served_registry: Served
) -> None:
    served_registry.answers["GET /v2/x/tao/manifests/5"] = answer
    assert problem(connected, served_registry) == (said, is_absent)


def test_a_packed_answer_is_unpacked_no_further_than_its_limit(
    connected: Engine, served_registry: Served
) -> None:
    packed = {"Content-Encoding": "gzip"}
    manifest = gzip.compress(json.dumps(MANIFEST).encode())
    served_registry.answers["GET /v2/x/tao/manifests/5"] = (200, (manifest, packed))
    assert layers(connected, served_registry) == KNOWN
    bomb = zlib.compress(b" " * 64 * 1024**2, 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    served_registry.answers["GET /v2/x/tao/manifests/5"] = (200, (bomb, {"Content-Encoding": "deflate"}))
    said = "HOST sent too much: an answer of more than 4.0 MiB"
    assert problem(connected, served_registry) == (said, False)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 24 * 1024


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"[" * 100_000, "HOST sent a response of an unknown form"),
        (b'{"layers": ' + b"[" * 200 + b"]" * 200 + b"}", "HOST sent too much: nested deeper than 60 levels"),
        (b'{"layers": [{"digest": "x", "size": ' + b"9" * 5000 + b"}]}",
         "HOST sent too much: a number has more than 300 digits"),
    ],
)  # fmt: skip
def test_an_answer_beyond_a_limit(
    answer: bytes, said: str, connected: Engine, served_registry: Served
) -> None:
    served_registry.answers["GET /v2/x/tao/manifests/5"] = (200, answer)
    assert problem(connected, served_registry)[0] in (
        said,
        "HOST sent too much: nested deeper than 60 levels",
    )


def test_a_blob_is_read_from_where_the_registry_sends_without_the_login(
    connected: Engine, served_registry: Served
) -> None:
    with serving(0) as store:
        store.answers["GET /blob"] = (200, CONFIG)
        there = {"Location": f"http://{store.url}/blob"}
        served_registry.answers["GET /v2/x/tao/blobs/sha256:c"] = (307, ({}, there))
        assert layers(connected, served_registry) == KNOWN
    for target in (f"http://{served_registry.url}/v2/x/tao/blobs/sha256:c", "http://far.example/blob"):
        served_registry.answers["GET /v2/x/tao/blobs/sha256:c"] = (307, ({}, {"Location": target}))
        assert layers(connected, served_registry) == UNKNOWN


def test_a_registry_that_does_not_answer(connected: Engine) -> None:
    with pytest.raises(UnknownSizeError, match=r"127\.0\.0\.1:1 cannot be reached from here"):
        read_manifest(connected, "127.0.0.1:1/x:1", "x86_64")


def guarded(served_registry: Served, challenge: str, authorization: str) -> None:
    """The registry answers only those who send this header."""

    def answer(request: Request) -> tuple[int, Any]:
        if request.headers.get("authorization") != authorization:
            return 401, ({}, {"WWW-Authenticate": challenge})
        return 200, MANIFEST

    served_registry.answers["GET /v2/x/tao/manifests/5"] = (0, answer)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_password(connected: Engine, served_registry: Served) -> None:
    guarded(served_registry, "Basic realm=x", basic("anna", "pass"))
    assert problem(connected, served_registry)[0] == "HOST requires a login"
    connected.api._auth_configs.add_auth(served_registry.url, {"username": "anna", "password": "pass"})
    assert layers(connected, served_registry) == KNOWN
    connected.api._auth_configs.add_auth(served_registry.url, {"username": "anna", "password": "wrong"})
    assert problem(connected, served_registry)[0] == "HOST answers 401"
    connected.api._auth_configs.add_auth(
        served_registry.url, {"IdentityToken": "t", "Username": "a", "Password": "b"}
    )
    assert problem(connected, served_registry)[0] == "HOST requires a login"


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_token(key: str, connected: Engine, served_registry: Served) -> None:
    challenge = f'Bearer realm="http://{served_registry.url}/token",service="the registry"'
    guarded(served_registry, challenge, "Bearer t1")
    served_registry.answers["GET /token"] = (200, {key: "t1"})
    assert layers(connected, served_registry) == KNOWN
    asked = served_registry.of("GET", "/token")
    assert asked.query == {"service": "the registry", "scope": "repository:x/tao:pull"}
    assert "authorization" not in asked.headers
    connected.api._auth_configs.add_auth(served_registry.url, {"username": "anna", "password": "pass"})
    guarded(served_registry, f'{challenge},scope="their scope"', "Bearer t1")
    assert layers(connected, served_registry) == KNOWN
    asked = served_registry.of("GET", "/token")
    assert (asked.query["scope"], asked.headers["authorization"]) == ("their scope", basic("anna", "pass"))
    served_registry.answers["GET /token"] = (403, {})
    assert problem(connected, served_registry)[0] == "HOST requires a login"


def test_no_password_of_netrc_is_sent(
    connected: Engine, served_registry: Served, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password canary\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert layers(connected, served_registry) == KNOWN
    assert not any("authorization" in one.headers for one in served_registry.asked)
