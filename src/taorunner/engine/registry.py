"""Facts of an image in its registry: the current digest (through the engine), and the sizes of its layers.

The engine reports digests but no sizes, so sizes are read from the registry itself, with the docker command's stored
login. They are optional: if the registry cannot be reached from here, ``read_manifest`` gives the reason.
Source: Docker Engine API, /distribution/{name}/json; OCI distribution specification, manifests and token login.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from docker import auth
from docker.errors import DockerException

from taorunner.engine.client import ENGINE_ERRORS, Engine, translated
from taorunner.engine.refusals import is_missing_manifest
from taorunner.image_names import DOCKER_HUB, registry_of, split_reference
from taorunner.values.bounded_reading import TooMuchError, parse_json, unpacked, whole

_TIMEOUT_S = (5.0, 15.0)
_WITHIN_S = 30.0
_MAX_REDIRECTS = 4
_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE = 64 * 1024
_TOKEN = re.compile(r"[!-~]{1,65536}\Z")
_MOST_BYTES = 4 * 1024 * 1024
"""Size limit of a manifest or image configuration: registries allow 4 MiB."""
_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """``size_bytes``: the size of the download. ``unpacked``: the digest of the unpacked layer, None when unknown."""

    digest: str
    size_bytes: int
    unpacked: str | None = None


class UnknownSizeError(Exception):
    """The size cannot be read; the text gives the reason, without secrets.

    ``is_absent``: the registry has no such image.
    """

    is_absent = False


def remote_digest(engine: Engine, reference: str) -> str | None:
    """The registry's current digest of this name; None when it has no such image.

    Raises:
        MachineError, EngineRefusedError: no login, registry not reachable, no engine.
    """
    with translated(engine.asked(reference)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a missing helper raises an error right after the warning
                body = engine.api.inspect_distribution(reference)
        except ENGINE_ERRORS as error:
            if is_missing_manifest(error):
                return None
            raise
    return str(body["Descriptor"]["digest"])


def read_manifest(engine: Engine, reference: str, architecture: str) -> tuple[RemoteLayer, ...]:
    """The layers of the image for an engine of that architecture (as in ``uname -m``), lowest first.

    Raises:
        UnknownSizeError: for any reason.
    """
    try:
        return _read(engine.api, reference, _ARCHITECTURES.get(architecture, architecture))
    except requests.exceptions.RequestException as error:
        raise UnknownSizeError(f"{registry_of(reference)[0]} cannot be reached from here") from error
    except DockerException as error:
        raise UnknownSizeError("the docker login cannot be read") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UnknownSizeError(f"{registry_of(reference)[0]} sent a response of an unknown form") from error


def _read(api: Any, reference: str, architecture: str) -> tuple[RemoteLayer, ...]:
    host, path = registry_of(reference)
    with requests.Session() as session:
        registry = _Registry(session, api, host, path)
        body = registry.json(f"manifests/{split_reference(reference)[1]}", (*_MANIFESTS, *_INDEXES))
        if "manifests" in body:
            digest = _fitting(body["manifests"], architecture)
            body = registry.json(f"manifests/{digest}", _MANIFESTS)
        layers = [(str(layer["digest"]), int(layer["size"])) for layer in body["layers"]]
        try:
            config = registry.json(f"blobs/{body['config']['digest']}", ())
            unpacked: list[str] = list(config["rootfs"]["diff_ids"])
        except (UnknownSizeError, KeyError, TypeError):
            unpacked = []
    if len(unpacked) != len(layers):
        return tuple(RemoteLayer(digest, size) for digest, size in layers)
    return tuple(
        RemoteLayer(digest, size, known) for (digest, size), known in zip(layers, unpacked, strict=True)
    )


def _fitting(entries: list[dict[str, Any]], architecture: str) -> str:
    for entry in entries:
        platform = entry.get("platform") or {}
        if platform.get("architecture") == architecture and platform.get("os", "linux") == "linux":
            return str(entry["digest"])
    raise UnknownSizeError(f"the image is not built for {architecture}")


class _Registry:
    """One repository of a registry, with the login that it requires."""

    def __init__(self, session: requests.Session, api: Any, host: str, path: str) -> None:
        self._session, self._api, self._host, self._path = session, api, host, path
        server = "registry-1.docker.io" if host == DOCKER_HUB else host
        self._base = f"{'http' if _is_loopback(host) else 'https'}://{server}/v2/{path}"
        self._headers: dict[str, str] = {}
        self._basic: tuple[str, str] | None = None

    def json(self, what: str, kinds: tuple[str, ...]) -> Any:
        """Raises UnknownSizeError for a refusal, RequestException when the registry is not reachable."""
        with self._get(what, kinds) as response:
            if response.status_code != requests.codes.unauthorized:
                return self._checked(response)
            challenge = response.headers.get("WWW-Authenticate", "")
        self._log_in(challenge)
        with self._get(what, kinds) as response:
            return self._checked(response)

    def _checked(self, response: requests.Response) -> Any:
        if response.status_code != requests.codes.ok:
            refused = UnknownSizeError(f"{self._host} answers {response.status_code}")
            refused.is_absent = response.status_code == requests.codes.not_found
            raise refused
        return self._value_of(response)

    def _get(self, what: str, kinds: tuple[str, ...]) -> requests.Response:
        """The reply with an unread body. A redirect is followed without the login, as a store of blobs wants it."""
        headers = {**self._headers, **({"Accept": ", ".join(kinds)} if kinds else {})}
        url, login = f"{self._base}/{what}", self._basic
        for _ in range(_MAX_REDIRECTS):
            response = self._ask(url, headers, login)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or target is None:
                return response
            response.close()
            target = urljoin(url, target)
            if urlsplit(target)[:2] != urlsplit(url)[:2]:
                headers, login = {key: headers[key] for key in headers if key != "Authorization"}, None
            if not (urlsplit(target).scheme == "https" or _is_loopback(urlsplit(target).netloc)):
                break
            url = target
        raise UnknownSizeError(f"{self._host} redirects to where nothing is read from")

    def _ask(
        self, url: str, headers: Mapping[str, str], login: tuple[str, str] | None,
        query: Mapping[str, str] | None = None,
    ) -> requests.Response:  # fmt: skip
        return self._session.get(
            url, params=query, headers=headers, auth=login or _nothing_of_netrc, timeout=_TIMEOUT_S,
            stream=True, allow_redirects=False,
        )  # fmt: skip

    def _value_of(self, response: requests.Response) -> Any:
        """The JSON of a reply. Raises ValueError, with the host where a limit is exceeded."""
        try:
            pieces = response.raw.stream(_PIECE, decode_content=False)
            packing = response.headers.get("Content-Encoding")
            return parse_json(whole(unpacked(pieces, packing), most_bytes=_MOST_BYTES, within_s=_WITHIN_S))
        except TooMuchError as error:
            raise UnknownSizeError(f"{self._host} sent too much: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ConnectionError(error) from error

    def _log_in(self, challenge: str) -> None:
        kind, _, rest = challenge.partition(" ")
        login = self._stored_login()
        if kind.lower() == "basic":
            if login is None:
                raise UnknownSizeError(f"{self._host} requires a login")
            self._basic = login
            return
        asked = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = urlsplit(asked.get("realm", ""))
        if kind.lower() != "bearer" or not (realm.scheme == "https" or _is_loopback(realm.netloc)):
            raise UnknownSizeError(f"{self._host} requires an unknown kind of login")
        query = {
            "service": asked.get("service", ""),
            "scope": asked.get("scope") or f"repository:{self._path}:pull",
        }
        with self._ask(realm.geturl(), {}, login, query) as answer:
            if answer.status_code != requests.codes.ok:
                raise UnknownSizeError(f"{self._host} requires a login")
            body = self._value_of(answer)
        token = body.get("token") or body["access_token"]
        if not isinstance(token, str) or not _TOKEN.match(token):
            raise UnknownSizeError(f"{self._host} sent a token of an unknown form")
        self._headers = {"Authorization": f"Bearer {token}"}

    def _stored_login(self) -> tuple[str, str] | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = auth.resolve_authconfig(self._api._auth_configs, self._host) or {}
        known = {key.lower(): value for key, value in found.items()}
        user, password = known.get("username"), known.get("password")
        return (user, password) if user and password and not known.get("identitytoken") else None


def _nothing_of_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stops requests from reading a password from ~/.netrc."""
    return request


def _is_loopback(netloc: str) -> bool:
    """Registries on this machine use plain HTTP, as the engine assumes, too."""
    name = urlsplit(f"//{netloc}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
