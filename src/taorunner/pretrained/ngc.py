"""NGC's API: versions, files and signed URLs of models, as a guest or with a key.

Source: tao/pretrained.md section B5. Requests are made as a guest first: the models of nvidia/tao are public, and NGC
refuses keys of other organisations for them. The key is used when a guest is refused.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from taorunner.errors import MachineError, UserFilesError
from taorunner.pretrained.api_key import KEY_PAGE, ApiKey
from taorunner.pretrained.bundled_list import known_models
from taorunner.pretrained.http import SIGN_IN, HttpRefusalError, Wire, redirect_target
from taorunner.pretrained.names import NgcModel, inner_path, name_conflict
from taorunner.text import did_you_mean, printable

API_VARIABLE, AUTH_VARIABLE = "TAORUNNER_NGC_URL", "TAORUNNER_NGC_AUTH_URL"
"""Set for mirrors and tests."""
_API, _AUTH = "https://api.ngc.nvidia.com", "https://authn.nvidia.com"
_PAGE = 1000
_RENEW_BEFORE_S = 300.0
_MAX_REDIRECTS = 5
_MAX_PAGES = 1000
_MAX_LIST_S = 600.0
_MAX_TEXT = 200
_MAX_SIZE = 2**50
_MAX_ROWS = 50_000
"""More than any model has files or versions; a list without end would fill the memory."""
_OTHER = "choose another version"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """``sha256`` is in hexadecimal, None when the server has none."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    name: str
    size: int | None
    files: int | None
    created: str | None
    is_complete: bool


class KeyNeededError(MachineError):
    """NGC refuses guests, and there is no key."""


class Ngc:
    """``find_key`` is called at most once, after a guest was refused; it may prompt the user."""

    def __init__(self, wire: Wire, environ: Mapping[str, str], find_key: Callable[[], ApiKey | None]) -> None:
        self.wire = wire
        self._api = environ.get(API_VARIABLE, "").rstrip("/") or _API
        self._auth = environ.get(AUTH_VARIABLE, "").rstrip("/") or _AUTH
        self._find_key = find_key
        self._key: ApiKey | None = None
        self._asked = False
        self._lock = threading.Lock()
        self._with_key: set[tuple[str, str | None, str]] = set()
        self._tokens: dict[tuple[str, str | None], tuple[str, float]] = {}

    def __enter__(self) -> Ngc:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def addresses(self, model: NgcModel) -> Callable[[str], str]:
        """``signed_url`` of one model."""
        return partial(self.signed_url, model)

    def versions(self, model: NgcModel) -> list[RemoteVersion]:
        """Newest first, as NGC sorts them. Raises UserFilesError when the model does not exist."""
        return list(self._pages(model, "/versions", {"sort-order": "SEMVER_DESC"}, "modelVersions", _version))

    def files(self, model: NgcModel) -> list[RemoteFile]:
        """The files of one version, sorted. Raises UserFilesError for an unusable model, version or file list."""
        version = quote(model.version or "", safe="")
        facts = _object(self._get(model, f"/versions/{version}"), "modelVersion")
        status = facts.get("status")
        if status not in (None, "UPLOAD_COMPLETE"):
            raise UserFilesError(f'"{model}" is incomplete on NGC: its status is {status}', hint=_OTHER)
        files = list(
            self._pages(model, f"/versions/{version}/files", {}, "modelFiles", partial(_file, model))
        )
        if not files:
            raise UserFilesError(f'the list of files of "{model}" is empty', hint=_OTHER)
        conflict = name_conflict([file.path for file in files])
        if conflict is not None:
            raise UserFilesError(
                f'"{printable(conflict[:200])}" of "{model}" cannot be stored beside its other files',
                hint=_OTHER,
            )
        return sorted(files, key=lambda file: file.path)

    def signed_url(self, model: NgcModel, path: str) -> str:
        """A short-lived URL of one file. The URL is a secret; no key is sent to it."""
        answer = self._get(model, f"/{quote(model.version or '', safe='')}/files", {"path": path}, signs=True)
        url = answer if isinstance(answer, str) else (_list(answer, "urls") or [""])[0]
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise MachineError(f'NGC returned no URL for "{path}" of "{model}"', hint="try again later")
        return url

    def _pages(
        self,
        model: NgcModel,
        suffix: str,
        query: Mapping[str, str],
        key: str,
        read: Callable[[Mapping[str, Any]], Row],
    ) -> Iterator[Row]:
        """The rows of all pages as ``read`` keeps them; the first request has no page number, the others count from 1.

        Raises MachineError for more than ``_MAX_ROWS`` rows, and for a list that takes longer than ``_MAX_LIST_S``.
        """
        rows, page, pages = 0, 0, 1
        ends = time.monotonic() + _MAX_LIST_S
        while page < pages:
            number = {"page-number": str(page)} if page else {}
            answer = self._get(model, suffix, {"page-size": str(_PAGE), **query, **number})
            found = _list(answer, key)
            rows += len(found)
            if rows > _MAX_ROWS:
                raise MachineError(f'NGC lists more than {_MAX_ROWS:,} rows for "{model}"', hint=_OTHER)
            yield from (read(row) for row in found if isinstance(row, dict))
            pages = min(_int(_object(answer, "paginationInfo").get("totalPages")) or 1, _MAX_PAGES)
            page += 1
            if page < pages and time.monotonic() > ends:
                text = f'NGC takes longer than {_MAX_LIST_S:.0f} s to list "{model}"'
                raise MachineError(text, hint="try again later")

    def _get(
        self, model: NgcModel, suffix: str, query: Mapping[str, str] | None = None, *, signs: bool = False
    ) -> Any:
        """The JSON of the response, or its redirect target. Tried as a guest, then with the key."""
        place = (model.org, model.team, model.name)
        while True:
            key = self._key if place in self._with_key else None
            url = self._api + _path(model, suffix, signs, key is not None)
            url += f"?{urlencode(query, quote_via=quote)}" if query else ""
            try:
                answer = self._follow(url, self._headers(model, key))
                if isinstance(answer, str) and not signs:  # a redirect that leaves NGC
                    where = urlsplit(answer).hostname or "an address without a host"
                    raise MachineError(f"NGC redirects to {printable(where[:200])}", hint=SIGN_IN)
                return answer
            except HttpRefusalError as error:
                if error.status == 404:
                    raise self._unknown(model, signs or suffix != "/versions") from None
                if error.status == 412:
                    raise MachineError(
                        f'the licence terms of "{model}" are not accepted yet',
                        hint=f"accept them at {model.catalog_url}, then pull again",
                    ) from None
                if error.status == 401 and key is not None and self._tokens.pop(place[:2], ("", 0.0))[0]:
                    continue
                if error.status not in (401, 403):
                    raise
                if key is not None:
                    raise MachineError(
                        f'NGC denies your API key access to "{model}" ({error.status})',
                        hint=f"use a key of an organisation that has this model; create keys at {KEY_PAGE}",
                    ) from None
                if self._needed_key() is None:
                    raise KeyNeededError(
                        f'NGC denies guests access to "{model}" ({error.status})',
                        hint=f"set NGC_API_KEY; create keys at {KEY_PAGE}",
                    ) from None
                self._with_key.add(place)

    def _follow(self, url: str, headers: Mapping[str, str]) -> Any:
        """Follows redirects inside NGC with the key; a redirect that leaves NGC is returned."""
        for _ in range(_MAX_REDIRECTS):
            response = self.wire.get(url, headers)
            if response.status_code < 300:
                try:
                    return response.json()
                except ValueError:
                    break
            target = redirect_target(url, response.headers.get("Location", ""))
            if _origin(target) != _origin(url):
                return target
            url = target
        raise MachineError("NGC sent an unreadable response", hint="check proxy and " + API_VARIABLE)

    def _headers(self, model: NgcModel, key: ApiKey | None) -> dict[str, str]:
        if key is None:
            return {}
        return {"Authorization": f"Bearer {key.reveal() if key.is_bearer else self._token(model, key)}"}

    def _token(self, model: NgcModel, key: ApiKey) -> str:
        """The token for a key of the old kind, cached in memory until shortly before it expires."""
        place = (model.org, model.team)
        token, ends = self._tokens.get(place, ("", 0.0))
        if time.monotonic() < ends:
            return token
        _must_be_private(self._auth)
        scopes = [f"group/ngc:{model.org}"] + ([f"group/ngc:{model.org}/{model.team}"] if model.team else [])
        query = urlencode([("service", "ngc"), *(("scope", scope) for scope in scopes)], safe="/:")
        basic = base64.b64encode(f"$oauthtoken:{key.reveal()}".encode()).decode()
        try:
            response = self.wire.get(f"{self._auth}/token?{query}", {"Authorization": f"Basic {basic}"})
            facts = response.json()
        except HttpRefusalError as error:
            if error.status not in (400, 401, 403):
                raise
            raise MachineError(
                f"NGC does not accept your API key ({error.status})",
                hint=f"set NGC_API_KEY to a valid key; create keys at {KEY_PAGE}",
            ) from None
        except ValueError:
            facts = None
        bought = facts.get("token") if isinstance(facts, dict) else None
        token = bought if isinstance(bought, str) else ""
        if not ApiKey(token).is_usable:
            raise MachineError("NGC returned no token for your API key", hint="try again later") from None
        lifetime = _int(facts.get("expires_in")) or 0
        self._tokens[place] = (token, time.monotonic() + lifetime - _RENEW_BEFORE_S)
        return token

    def _needed_key(self) -> ApiKey | None:
        with self._lock:
            if not self._asked:
                _must_be_private(self._api)
                self._key, self._asked = self._find_key(), True
            return self._key

    def _unknown(self, model: NgcModel, is_version: bool) -> UserFilesError:
        """An error that names similar models or existing versions."""
        bare = replace(model, version=None)
        if is_version and model.version:
            try:
                names = [version.name for version in self.versions(bare)]
            except UserFilesError:
                pass
            else:
                hint = did_you_mean(model.version, names)
                return UserFilesError(f'"{bare}" has no version "{model.version}"', hint=hint)
        known = sorted({known.name.partition(":")[0] for known in known_models()})
        return UserFilesError(f'NGC has no model "{bare}"', hint=did_you_mean(str(bare), known))


def _version(row: Mapping[str, Any]) -> RemoteVersion:
    created = row.get("createdDate")
    return RemoteVersion(
        str(row.get("versionId", ""))[:_MAX_TEXT],
        _int(row.get("totalSizeInBytes")),
        _int(row.get("totalFileCount")),
        created[:_MAX_TEXT] if isinstance(created, str) else None,
        row.get("status") == "UPLOAD_COMPLETE",
    )


def _file(model: NgcModel, row: Mapping[str, Any]) -> RemoteFile:
    return RemoteFile(inner_path(str(row.get("path", ""))), _size(row, model), _hex(row.get("sha256_base64")))


def _path(model: NgcModel, suffix: str, signs: bool, has_key: bool) -> str:
    """Guests and keys have different API paths, and guests have a third one for signed URLs."""
    if has_key:
        team = f"/team/{model.team}" if model.team else ""
        return f"/v2/org/{model.org}{team}/models/{model.name}{suffix}"
    if signs:
        team = f"/team/{model.team}" if model.team else ""
        return f"/v2/models/org/{model.org}{team}/{model.name}{suffix}"
    team = f"/{model.team}" if model.team else ""
    return f"/v2/models/{model.org}{team}/{model.name}{suffix}"


def _must_be_private(url: str) -> None:
    """Allows keys only over TLS or to this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise MachineError(
            f"the API key is not sent to {parts.hostname or 'a server'} without encryption",
            hint=f"give an https address in {API_VARIABLE} and {AUTH_VARIABLE}",
        )


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _object(answer: Any, key: str) -> Mapping[str, Any]:
    found = answer.get(key) if isinstance(answer, dict) else None
    return found if isinstance(found, dict) else {}


def _list(answer: Any, key: str) -> list[Any]:
    found = answer.get(key) if isinstance(answer, dict) else None
    return found if isinstance(found, list) else []


def _int(value: Any) -> int | None:
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_SIZE else None
    )


def _size(row: Mapping[str, Any], model: NgcModel) -> int:
    size = _int(row.get("sizeInBytes"))
    if size is None:
        raise UserFilesError(
            f'NGC does not say how large "{inner_path(str(row.get("path", "")))}" of "{model}" is'
        )
    return size


def _hex(text: Any) -> str | None:
    """A base64 SHA-256 in hexadecimal; None for other text."""
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return None
    return raw.hex() if len(raw) == 32 else None
