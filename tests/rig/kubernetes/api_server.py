"""A stand-in for a Kubernetes API server: discovery, strict creation, conflicts, selectors, dry runs, deletion, logs.

It holds objects and answers kubectl; what would become of them in a cluster is done by ``machinery``. Own code of the
standard library. It is as strict as a real one where taorunner could be wrong: fields that the published schema lacks,
names and labels, deletion with finalizers and grace, events without labels of what they are about.
"""

from __future__ import annotations

import copy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from exec_socket import PROTOCOL, serve
from published_schemas import problems

Body = dict[str, Any]
RESOURCES = {
    "jobs": ("batch/v1", "Job"), "pods": ("v1", "Pod"), "services": ("v1", "Service"), "secrets": ("v1", "Secret"),
    "events": ("v1", "Event"), "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "namespaces": ("v1", "Namespace"), "selfsubjectaccessreviews": ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    "localqueues": ("kueue.x-k8s.io/v1beta1", "LocalQueue"),
}  # fmt: skip
GROUPS = ("batch/v1", "authorization.k8s.io/v1", "kueue.x-k8s.io/v1beta1")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
_OBJECT_PATH = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(?:/(log|status|exec))?\Z"
)


class Refused(Exception):  # noqa: N818 (an answer, not an error of this program)
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass
class Store:
    """All objects by kind, namespace and name. ``changed`` is notified at each change; its lock guards everything."""

    version: str = "1.33.0"
    objects: dict[tuple[str, str, str], Body] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    secrets_seen: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    faults: list[Callable[[str, str, str], Refused | None]] = field(default_factory=list)
    """Each is asked with verb, resource and path, and may refuse."""
    count: int = 0

    def get(self, resource: str, namespace: str, name: str) -> Body:
        found = self.objects.get((resource, namespace, name))
        if found is None:
            group = RESOURCES[resource][0].rpartition("/")[0]
            shown = f"{resource}.{group}" if group else resource
            raise Refused(404, "NotFound", f'{shown} "{name}" not found')
        return found

    def all(self, resource: str, namespace: str | None = None) -> list[Body]:
        return [
            one
            for (kind, place, _), one in self.objects.items()
            if kind == resource and namespace in (None, place)
        ]

    def create(
        self, resource: str, namespace: str, body: Body, *, strict: bool, dry_run: bool = False
    ) -> Body:
        name = body.get("metadata", {}).get("name", "")
        if ("namespaces", "", namespace) not in self.objects:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        found = problems(body, self.version) if body["kind"] in ("Job", "Pod", "Service", "Secret") else []
        unknown = [one for one in found if one.startswith("unknown field")]
        if unknown and strict:
            raise Refused(400, "BadRequest", f"strict decoding error: {', '.join(unknown)}")
        group = RESOURCES[resource][0].rpartition("/")[0]
        shown = f"{body['kind']}.{group}" if group else body["kind"]
        wrong = [one for one in found if one not in unknown] + list(_wrong_names(body))
        if wrong:
            raise Refused(422, "Invalid", f'{shown} "{name}" is invalid: {"; ".join(wrong)}')
        if (resource, namespace, name) in self.objects:
            going = self.objects[resource, namespace, name]["metadata"].get("deletionTimestamp")
            text = f'{resource}{"." + group if group else ""} "{name}" already exists'
            raise Refused(409, "AlreadyExists", f"object is being deleted: {text}" if going else text)
        made = copy.deepcopy(body)
        made["metadata"].update(namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=now())
        if resource == "pods":
            made["status"] = {"phase": "Pending", "conditions": []}
        if not dry_run:
            self.objects[resource, namespace, name] = made
            self.touch(made)
        return made

    def touch(self, body: Body) -> None:
        self.count += 1
        body["metadata"]["resourceVersion"] = str(self.count)
        self.changed.notify_all()

    def delete(self, resource: str, namespace: str, name: str, options: Body) -> Body:
        """A pod goes when its container has ended, an owner when all it owns has: the machinery removes them."""
        found = self.get(resource, namespace, name)
        about = found["metadata"]
        if resource == "pods":
            asked = options.get("gracePeriodSeconds", found["spec"].get("terminationGracePeriodSeconds", 30))
            before = about.get("deletionGracePeriodSeconds", asked)
            about["deletionGracePeriodSeconds"] = min(asked, before)
            about.setdefault("deletionTimestamp", now())
        elif resource == "jobs" and options.get("propagationPolicy") == "Foreground":
            about.setdefault("deletionTimestamp", now())
            about["finalizers"] = ["foregroundDeletion"]
        else:
            self.remove(resource, namespace, name)
        if (resource, namespace, name) in self.objects:
            self.touch(found)
        return found

    def remove(self, resource: str, namespace: str, name: str) -> None:
        self.objects.pop((resource, namespace, name), None)
        self.changed.notify_all()

    def event(self, about: Body, kind: str, reason: str, message: str, severity: str = "Warning") -> None:
        meta = about["metadata"]
        name = f"{meta['name']}.{uuid.uuid4().hex[:12]}"
        body = {
            "apiVersion": "v1", "kind": "Event", "type": severity, "reason": reason, "message": message,
            "metadata": {"name": name, "namespace": meta["namespace"], "creationTimestamp": now()},
            "involvedObject": {"kind": kind, "name": meta["name"], "namespace": meta["namespace"]},
            "firstTimestamp": now(), "lastTimestamp": now(), "count": 1,
        }  # fmt: skip
        self.objects["events", meta["namespace"], name] = body
        self.touch(body)


def _wrong_names(body: Body) -> Iterator[str]:
    about = body.get("metadata", {})
    if not _NAME.match(about.get("name", "")):
        yield f'metadata.name: Invalid value: "{about.get("name")}": a lowercase RFC 1123 subdomain must consist of …'
    labels = dict(about.get("labels", {}))
    template = body.get("spec", {}).get("template") if body["kind"] == "Job" else None
    if template is not None:
        labels |= template.get("metadata", {}).get("labels", {})
        yield from _wrong_job(body["spec"], template["spec"], about["name"])
    for value in labels.values():
        if not _LABEL_VALUE.match(value):
            yield f'metadata.labels: Invalid value: "{value}": a valid label must be an empty string or consist of …'


def _wrong_job(spec: Body, pod: Body, name: str) -> Iterator[str]:
    """Rules of the real server's validation that a schema does not have."""
    if len(name) > 63:
        yield f'spec.template.labels: Invalid value: "{name}": must be no more than 63 characters'
    if pod.get("restartPolicy") not in ("Never", "OnFailure"):
        yield 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
        codes = rule.get("onExitCodes")
        if codes is not None and codes["operator"] == "In" and 0 in codes["values"]:
            yield "spec.podFailurePolicy.rules.onExitCodes.values: Invalid value: 0: must not be 0 for the In operator"
    volumes = {one["name"] for one in pod.get("volumes", ())}
    for container in pod["containers"]:
        mounts = container.get("volumeMounts", ())
        paths = [one["mountPath"] for one in mounts]
        for index, mount in enumerate(mounts):
            if mount["name"] not in volumes:
                yield f'spec.template.spec.containers[0].volumeMounts[{index}].name: Not found: "{mount["name"]}"'
            if paths.count(mount["mountPath"]) > 1:
                yield f'volumeMounts[{index}].mountPath: Invalid value: "{mount["mountPath"]}": must be unique'
            sub = mount.get("subPath", "")
            if sub.startswith("/") or ".." in sub.split("/"):
                yield f'volumeMounts[{index}].subPath: Invalid value: "{sub}": must be a relative path'
        for kind, value in container.get("resources", {}).get("limits", {}).items():
            if "/" in kind and container["resources"].get("requests", {}).get(kind, value) != value:
                yield f"resources.requests: Invalid value: must be equal to {kind} limit"


class ApiServer:
    """Serves a store on loopback. ``log`` gives the bytes of a pod's container, ``execute`` the line that runs a command
    in it, and its environment."""

    def __init__(
        self, store: Store, log: Callable[[Body, bool], Iterator[bytes]],
        execute: Callable[[Body, list[str], bool], tuple[list[str], dict[str, str]]],
    ) -> None:  # fmt: skip
        self.store, self.log, self.execute = store, log, execute
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

        for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{verb}", lambda handler, verb=verb: api.answer(handler, verb))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, verb: str) -> None:
        data = _content(handler)
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        try:
            if self._executes(handler, verb, parts.path, parse_qs(parts.query)):
                return
            log = self._log_of(verb, parts.path, query)
            if log is not None:
                _stream(handler, log)
                return
            with self.store.changed:
                code, body = self._reply(verb, parts.path, query, data)
        except Refused as refused:
            code = refused.code
            body = {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": refused.code,
                "reason": refused.reason, "message": refused.message,
                "details": _details(refused.message),
            }  # fmt: skip
        text = json.dumps(body).encode()
        handler.send_response(code)
        if code == 429:
            handler.send_header("Retry-After", "0")
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _executes(
        self, handler: BaseHTTPRequestHandler, verb: str, path: str, query: dict[str, list[str]]
    ) -> bool:
        match = _OBJECT_PATH.match(path)
        if match is None or match[4] != "exec":
            return False
        with self.store.changed:
            self._refuse(verb, "pods", path)
            pod = self.store.get("pods", match[1], match[3])
        offered = handler.headers.get("Sec-WebSocket-Protocol", "")
        if PROTOCOL not in offered.replace(",", " ").split():
            raise Refused(400, "BadRequest", "Upgrade request required")
        has_terminal = query.get("tty") == ["true"]
        line, environ = self.execute(pod, query["command"], has_terminal)
        serve(handler, line, environ, has_terminal=has_terminal)
        return True

    def _log_of(self, verb: str, path: str, query: dict[str, str]) -> Iterator[bytes] | None:
        match = _OBJECT_PATH.match(path)
        if match is None or match[4] != "log":
            return None
        with self.store.changed:
            self._refuse(verb, "pods", path)
            pod = self.store.get("pods", match[1], match[3])
        return self.log(pod, query.get("follow") == "true")

    def _refuse(self, verb: str, resource: str, path: str) -> None:
        self.store.asked.append(f"{verb} {path}")
        for fault in self.store.faults:
            found = fault(verb, resource, path)
            if found is not None:
                raise found

    def _reply(self, verb: str, path: str, query: dict[str, str], data: bytes) -> tuple[int, Body]:
        found = _discovery(path, self.store.version)
        if found is not None:
            return 200, found
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" and verb == "POST":
            return 201, self._review(json.loads(data))
        place, _, name = path.rpartition("/")
        if place == "/api/v1/namespaces" and verb == "GET":
            return 200, self.store.get("namespaces", "", name)
        match = _OBJECT_PATH.match(path)
        if match is None or match[2] not in RESOURCES:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        namespace, resource, name, _ = match.groups()
        self._refuse(verb, resource, path)
        if verb == "POST":
            body = json.loads(data)
            strict, dry = query.get("fieldValidation") == "Strict", query.get("dryRun") == "All"
            return 201, self.store.create(resource, namespace, body, strict=strict, dry_run=dry)
        if name is None:
            return 200, self._listed(resource, namespace, query)
        found = self.store.get(resource, namespace, name)
        if verb == "DELETE":
            return 200, self.store.delete(resource, namespace, name, json.loads(data) if data else {})
        if verb in ("PATCH", "PUT"):
            _merge(found, json.loads(data))
            self.store.touch(found)
        return 200, found

    def _review(self, body: Body) -> Body:
        asked = body["spec"]["resourceAttributes"]
        is_allowed = True
        try:
            part = f"/{asked['subresource']}" if "subresource" in asked else ""
            self._refuse(asked["verb"], asked["resource"] + part, "can-i")
        except Refused:
            is_allowed = False
        return {**body, "status": {"allowed": is_allowed}}

    def _listed(self, resource: str, namespace: str, query: dict[str, str]) -> Body:
        labels = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
        fields = dict(pair.split("=", 1) for pair in query.get("fieldSelector", "").split(",") if pair)
        group, kind = RESOURCES[resource]
        items = [
            copy.deepcopy(one)
            for one in self.store.all(resource, namespace)
            if all(one["metadata"].get("labels", {}).get(key) == value for key, value in labels.items())
            and all(one.get(key) == value for key, value in fields.items())
        ]
        about = {"resourceVersion": str(self.store.count)}
        return {"kind": f"{kind}List", "apiVersion": group, "metadata": about, "items": items}


def _details(message: str) -> Body:
    """From which kubectl makes its sentence about an object that is invalid."""
    found = re.match(r"(\w+)(?:\.\w+)* \"([^\"]*)\" is invalid: ([^:]*): (.*)", message)
    if found is None:
        return {}
    cause = {"reason": "FieldValueInvalid", "field": found[3], "message": found[4]}
    return {"kind": found[1], "name": found[2], "causes": [cause]}


def _content(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    pieces = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        pieces.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(pieces)


def _stream(handler: BaseHTTPRequestHandler, pieces: Iterator[bytes]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.flush()
    handler.wfile.write(b"0\r\n\r\n")


def _discovery(path: str, version: str) -> Body | None:
    if path == "/version":
        major, minor, _ = version.split(".")
        return {"major": major, "minor": minor, "gitVersion": f"v{version}", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = []
        for group in GROUPS:
            one = {"groupVersion": group, "version": group.rpartition("/")[2]}
            groups.append({"name": group.rpartition("/")[0], "versions": [one], "preferredVersion": one})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    group = path.removeprefix("/apis/") if path.startswith("/apis/") else path.removeprefix("/api/")
    if group not in ("v1", *GROUPS):
        return None
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": name, "singularName": kind.lower(), "namespaced": name not in ("namespaces", "selfsubjectaccessreviews"),
         "kind": kind, "verbs": verbs, "shortNames": ["pvc"] if name == "persistentvolumeclaims" else []}
        for name, (of, kind) in RESOURCES.items() if of == group
    ]  # fmt: skip
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources}


def _merge(into: Body, change: Body) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif value is None:
            into.pop(key, None)
        else:
            into[key] = value
