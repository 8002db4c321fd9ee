"""MLflow's REST interface, as far as runs are sent through it. Each call is one request, without retries.

Credentials are read as MLflow's own client reads them: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, else
MLFLOW_TRACKING_TOKEN, else the section [mlflow] of ~/.mlflow/credentials. They are sent to the server alone: no
redirect is followed, and no error text has them.
Source: docs of MLflow 3.17, "REST API" and "Secure your tracking server".
"""

from __future__ import annotations

import base64
import configparser
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from taorunner.errors import MachineError
from taorunner.pretrained.connection import make_client
from taorunner.pretrained.http import body_of, retry_after
from taorunner.project.tracking.words import CREDENTIALS
from taorunner.text import printable
from taorunner.values.bounded_reading import TooMuchError, parse_json, whole
from taorunner.version import __version__

METRICS_A_CALL, PARAMS_A_CALL, TAGS_A_CALL = 1000, 100, 100
LONGEST_NAME, LONGEST_PARAM, LONGEST_TAG = 250, 6000, 5000
"""Source: docs of MLflow 3.17, "Log Batch": request limits."""
_MOST_REPLY, _REPLY_S = 2 * 1024**2, 20.0
_PATH = "/api/2.0/mlflow"
_PERMANENT = frozenset({400, 401, 403, 404, 405})
_RUN_TAG = "taorunner.run"


class TrackingError(Exception):
    """A call failed. ``is_refusal``: the same call will fail again. ``wait_s`` is how long the server asks to wait."""

    def __init__(self, text: str, *, is_refusal: bool = False, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.is_refusal, self.wait_s = is_refusal, wait_s


class MlflowServer:
    """One server. ``address`` may hold a user and a password; ``shown`` is without them."""

    def __init__(self, address: str, environ: Mapping[str, str], home: Path) -> None:
        self.shown, user = _without_user(address)
        is_insecure = environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("1", "true")
        certificate = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
        trusted = {**environ, "SSL_CERT_FILE": certificate} if certificate else environ
        settings: dict[str, Any] = {"timeout": httpx.Timeout(10.0), "follow_redirects": False}
        settings["headers"] = {"User-Agent": f"taorunner/{__version__}", "Accept-Encoding": "identity"}
        try:
            self._client = (
                httpx.Client(verify=False, **settings) if is_insecure else make_client(trusted, **settings)
            )
        except MachineError as error:
            raise TrackingError(error.message) from None
        self._authorization = _authorization(user, environ, home)

    def close(self) -> None:
        self._client.close()

    def experiment(self, name: str) -> str:
        """The id of the experiment, which is made where there is none."""
        try:
            found = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        except _MissingError:
            try:
                made = self._call("POST", "experiments/create", {"name": name})
                return self._text(made, "experiment_id")
            except _ExistsError:  # another process was faster
                found = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        if self._inner(found, "experiment").get("lifecycle_stage") == "deleted":
            text = f'its experiment "{printable(name)}" was deleted: restore it there'
            raise TrackingError(text, is_refusal=True)
        return self._text(found, "experiment", "experiment_id")

    def run(self, experiment: str, name: str, run_id: str, start_ms: int, tags: Mapping[str, str]) -> str:
        """The id of the run that stands for ``run_id``, which is made where there is none."""
        wanted = f"tags.`{_RUN_TAG}` = '{run_id}'"
        found = self._call(
            "POST", "runs/search", {"experiment_ids": [experiment], "filter": wanted, "max_results": 1}
        ).get("runs")
        if isinstance(found, list) and found:
            return self._text({"run": found[0]}, "run", "info", "run_id")
        body = {
            "experiment_id": experiment, "run_name": name, "start_time": start_ms,
            "tags": _pairs({_RUN_TAG: run_id, **tags}),
        }  # fmt: skip
        return self._text(self._call("POST", "runs/create", body), "run", "info", "run_id")

    def log(
        self, remote: str, *, metrics: Sequence[Mapping[str, Any]] = (), params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """At most as many as a call may have. Sending the same again changes nothing."""
        body = {"run_id": remote, "metrics": metrics, "params": _pairs(params), "tags": _pairs(tags)}
        self._call("POST", "runs/log-batch", body)

    def end(self, remote: str, status: str, end_ms: int) -> None:
        self._call("POST", "runs/update", {"run_id": remote, "status": status, "end_time": end_ms})

    def _call(self, method: str, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self.shown}{_PATH}/{what}"
        headers = {"Content-Type": "application/json", **self._authorization}
        sent: dict[str, Any] = {"params": body}
        if method == "POST":
            text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            sent = {"content": text.encode("utf-8", "replace")}
        try:
            with self._client.stream(method, url, headers=headers, **sent) as response:
                data = whole(body_of(response), most_bytes=_MOST_REPLY, within_s=_REPLY_S)
        except httpx.TimeoutException:
            raise TrackingError(f"{self.shown} does not answer") from None
        except httpx.ConnectError as error:
            raise TrackingError(f"{self.shown} cannot be reached: {printable(str(error)[:200])}") from None
        except httpx.InvalidURL:
            raise TrackingError(f"{printable(self.shown)} is not an address", is_refusal=True) from None
        except httpx.HTTPError:
            raise TrackingError(f"the connection to {self.shown} broke") from None
        except TooMuchError as error:
            raise TrackingError(f"{self.shown} sends {error}") from None
        except MachineError as error:
            raise TrackingError(f"{self.shown}: {error.message}") from None
        if response.status_code == 200:
            return self._object(data)
        raise self._refusal(response, data)

    def _object(self, data: bytes) -> dict[str, Any]:
        try:
            found = parse_json(data, finite=False)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TrackingError(
                f"{self.shown} is not an MLflow server: it does not answer in JSON", is_refusal=True
            )
        return found

    def _inner(self, body: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
        found: Any = body
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise self._strange(path)
        return found

    def _text(self, body: Mapping[str, Any], *path: str) -> str:
        found = self._inner(body, *path[:-1]).get(path[-1])
        if not isinstance(found, str) or not found:
            raise self._strange(path)
        return found

    def _strange(self, path: Sequence[str]) -> TrackingError:
        text = f'{self.shown} does not answer as MLflow does: "{".".join(path)}" is missing'
        return TrackingError(text, is_refusal=True)

    def _refusal(self, response: httpx.Response, data: bytes) -> TrackingError:
        status = response.status_code
        try:
            body = parse_json(data)
        except ValueError:
            body = None
        code = body.get("error_code") if isinstance(body, dict) else None
        if code == "RESOURCE_DOES_NOT_EXIST":
            return _MissingError(f"{self.shown} does not know it: {_said(body)}", is_refusal=True)
        if code == "RESOURCE_ALREADY_EXISTS":
            return _ExistsError(f"{self.shown} has it already: {_said(body)}", is_refusal=True)
        if status in (401, 403):
            text = f"{self.shown} refuses access ({status}): check {CREDENTIALS}"
            return TrackingError(text, is_refusal=True)
        if 300 <= status < 400:
            return TrackingError(
                f"{self.shown} redirects: give the address that it leads to", is_refusal=True
            )
        text = f"{self.shown} answers {status}" + (f": {_said(body)}" if code is not None else "")
        wait_s = retry_after(response.headers.get("Retry-After"))
        return TrackingError(text, is_refusal=status in _PERMANENT, wait_s=wait_s)


class _MissingError(TrackingError):
    """There is no such experiment or run."""


class _ExistsError(TrackingError):
    """There is one already."""


def _said(body: Any) -> str:
    return printable(str(body.get("message", ""))[:300]) if isinstance(body, dict) else ""


def _pairs(values: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in (values or {}).items()]


def pieces(values: Mapping[str, str], most: int) -> Iterable[dict[str, str]]:
    """In parts that a call may have."""
    items = list(values.items())
    return (dict(items[start : start + most]) for start in range(0, len(items), most))


def _without_user(address: str) -> tuple[str, str | None]:
    """The address without credentials, query and last slash; and ``user:password``, where it has one."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
    except ValueError:
        return address, None
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), user or None


def _authorization(user: str | None, environ: Mapping[str, str], home: Path) -> dict[str, str]:
    file = configparser.ConfigParser(interpolation=None)
    try:
        file.read(home / ".mlflow/credentials", encoding="utf-8")
        kept: Mapping[str, str] = dict(file["mlflow"]) if file.has_section("mlflow") else {}
    except (OSError, configparser.Error, UnicodeDecodeError):
        kept = {}
    name = environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow_tracking_username")
    password = environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow_tracking_password")
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    if name and password:
        user = f"{name}:{password}"
    if user is not None:
        return {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}
