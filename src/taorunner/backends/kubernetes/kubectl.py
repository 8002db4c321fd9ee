"""The commands of kubectl for one namespace of one context, and what they answer.

Objects are created by a plain POST of kubectl, which needs no discovery, works with every kubectl, and has the server
check every field.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from taorunner import host_commands
from taorunner.backends.kubernetes.manifest import MANAGED_BY, OWN, RUN_LABEL
from taorunner.backends.kubernetes.objects import Event, Job, Pod, read_objects
from taorunner.backends.shared_call import SharedCall
from taorunner.backends.silence import Silence
from taorunner.errors import MachineError
from taorunner.text import printable
from taorunner.values.bounded_reading import JsonError, parse_json
from taorunner.values.value import Value

COMMAND_TIMEOUT_S = 60.0
REQUEST_TIMEOUT_S = 20
_SILENT_PAUSE_S = 30.0
"""A server that does not answer is asked this often."""
_MOST_BYTES = 256 * 1024**2
_REST_TIMES, _LONGEST_REST_S = 4, 10.0
"""After a question about all objects: this many times as long as it took, so that many runs take no core."""
_PATHS = {
    "Job": ("batch/v1", "jobs"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "Pod": ("v1", "pods"),
    "SelfSubjectAccessReview": ("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
}
_OF_NO_NAMESPACE = frozenset({"selfsubjectaccessreviews"})
_REASON = re.compile(r"Error from server(?: \((?P<reason>[A-Za-z]+)\))?: (?P<text>.*)", re.DOTALL)
_NO_CURRENT = "current-context must exist"
_SILENT = (
    "Unable to connect to the server", "was refused - did you specify the right host or port", "i/o timeout",
    "TLS handshake timeout", "context deadline exceeded", "no route to host", "connection refused", "EOF",
    "http2: client connection lost", "etcdserver:", "no such host", "Client.Timeout exceeded",
)  # fmt: skip
_BUSY_REASONS = frozenset(
    {"TooManyRequests", "ServiceUnavailable", "InternalError", "Timeout", "ServerTimeout"}
)


class Refusal(Value):
    """Why the server refused something: its own word for it, such as ``Forbidden``, and its text."""

    reason: str
    text: str


class Place(Value):
    """Where kubectl would look now. ``namespace`` is never empty."""

    context: str | None
    namespace: str


def refusal_of(done: host_commands.CommandResult) -> Refusal:
    """What kubectl says after a failed command."""
    said = done.stderr.strip() or done.stdout.strip()
    match = _REASON.search(said)
    if match is not None:
        return Refusal(match["reason"] or "", " ".join(match["text"].split()))
    if "You must be logged in to the server" in said or "provide credentials" in said:
        return Refusal("Unauthorized", done.last_words.removeprefix("error: "))
    if re.match(r"The [^\n]* is invalid", said):
        return Refusal("Invalid", " ".join(said.removeprefix("The request is invalid: ").split()))
    return Refusal("", done.last_words.removeprefix("error: "))


class Kubectl:
    """One context and namespace; None for kubectl's own. Thread-safe."""

    def __init__(
        self, context: str | None, namespace: str | None, environ: Mapping[str, str] | None = None,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.context, self.namespace = context, namespace
        self._environ = dict(os.environ if environ is None else environ)
        self._place: Place | None = None
        self._silence = Silence(_SILENT_PAUSE_S)
        self._shared = SharedCall(self._objects)
        self._rest = rest
        self._rests_until_s = 0.0

    @property
    def where(self) -> str:
        context = self.context or (self._place.context if self._place is not None else None)
        return f'the context "{context}"' if context else "kubectl's own context"

    def run(
        self, *words: str, stdin: str | None = None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> host_commands.CommandResult:
        """Raises SilentError when the server does not answer or take the login, MachineError without kubectl."""
        argv = ["kubectl"]
        argv += [f"--context={self.context}"] if self.context else []
        argv += [f"--namespace={self.namespace}"] if self.namespace else []
        argv += [f"--request-timeout={REQUEST_TIMEOUT_S}s"]
        try:
            done = host_commands.run([*argv, *words], timeout_s=timeout_s, env=self._environ, stdin=stdin)
        except MachineError as error:
            if "took longer" in error.message:
                raise self._silence.error("kubectl does not answer") from error
            hint = "install kubectl, and try: kubectl get jobs"
            raise MachineError(error.message, hint=hint) from error
        if not done.succeeded:
            self._raise_if_silent(done)
        self._silence.end()
        return done

    def ask(self, *words: str) -> host_commands.CommandResult:
        """As ``run``, for questions: while nothing answers, only one in a while is really asked."""
        self._silence.check()
        return self.run(*words)

    def place(self) -> Place:
        """Context and namespace by name, as a run keeps them. Asks no server."""
        if self._place is None:
            done = self.run("config", "view", "--minify", "-o", "json")
            if not done.succeeded:
                said = refusal_of(done).text
                if _NO_CURRENT in said:
                    hint = "context: NAME in clusters.yml, or kubectl config use-context NAME"
                    raise MachineError("kubectl has no current context", hint=hint)
                hint = "context: one of those that kubectl config get-contexts lists"
                raise MachineError(f"kubectl cannot use {self.where}: {printable(said)}", hint=hint)
            body = _json(done.stdout)
            contexts = body.get("contexts")
            first = contexts[0] if isinstance(contexts, list) and contexts else None
            inner = first.get("context") if isinstance(first, dict) else None
            namespace = inner.get("namespace") if isinstance(inner, dict) else None
            current = body.get("current-context")
            context = self.context or (current if isinstance(current, str) and current else None)
            self._place = Place(
                context, self.namespace or (namespace if isinstance(namespace, str) else "default")
            )
        return self._place

    def create(self, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any] | Refusal:
        """The object as the server has it. Fields that the server does not know are refused."""
        group, plural = _PATHS[body["kind"]]
        prefix = "/api/v1" if group == "v1" else f"/apis/{group}"
        if plural not in _OF_NO_NAMESPACE:
            prefix += f"/namespaces/{self.place().namespace}"
        path = f"{prefix}/{plural}?fieldValidation=Strict"
        path += "&dryRun=All" if dry_run else ""
        done = self.run("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
        return _json(done.stdout) if done.succeeded else refusal_of(done)

    def get(self, kind: str, name: str) -> dict[str, Any] | Refusal:
        done = self.ask("get", kind, name, "-o", "json")
        return _json(done.stdout) if done.succeeded else refusal_of(done)

    def can(self, verb: str, what: str) -> bool:
        """Whether this login may do that in the namespace. ``what`` is a kind of object, or ``pods/exec``."""
        group = "batch" if what == "jobs" else ""
        resource, _, part = what.partition("/")
        asked = {"namespace": self.place().namespace, "verb": verb, "resource": resource, "group": group}
        asked |= {"subresource": part} if part else {}
        made = self.create({
            "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
            "spec": {"resourceAttributes": asked},
        })  # fmt: skip
        return not isinstance(made, Refusal) and (made.get("status") or {}).get("allowed") is True

    def server_version(self) -> str | None:
        done = self.ask("version", "-o", "json")
        server = _json(done.stdout).get("serverVersion") if done.succeeded else None
        return str(server.get("gitVersion", "")) if isinstance(server, dict) else None

    def objects(self) -> tuple[list[Job], list[Pod]]:
        """All Jobs of taorunner and their pods, by one command. Threads that ask together share the answers."""
        return self._shared()

    def warnings(self) -> list[Event]:
        """What went wrong in the namespace of late; nothing where this login may not see it.

        Events have no labels of the object that they are about.
        """
        with suppress(MachineError):
            done = self.ask("get", "events", "--field-selector", "type=Warning", "-o", "json")
            if done.succeeded:
                return read_objects(_json(done.stdout))[2]
        return []

    def delete_one(self, kind: str, name: str) -> None:
        """An object that was made a moment ago."""
        self._done("delete", kind, name, "--wait=false", "--ignore-not-found")

    def delete(self, run_name: str) -> None:
        """All objects of a run; what is gone is no error."""
        label = f"{RUN_LABEL}={run_name}"
        self._done("delete", "jobs,secrets,services", "-l", label, "--cascade=foreground", "--wait=false")

    def end_pods(self, run_name: str, grace_s: int) -> None:
        """Sends TERM to the pods of a run, and KILL after ``grace_s``."""
        label = f"{RUN_LABEL}={run_name}"
        self._done("delete", "pods", "-l", label, f"--grace-period={max(1, grace_s)}", "--wait=false")

    def _done(self, *words: str) -> None:
        done = self.run(*words)
        if not done.succeeded and refusal_of(done).reason != "NotFound":
            said = refusal_of(done)
            raise MachineError(
                f"kubectl {words[0]} failed: {printable(said.text)}",
                hint=f"kubectl auth can-i {words[0]} jobs",
            )

    def _objects(self) -> tuple[list[Job], list[Pod]]:
        words = ("get", "jobs,pods", "-l", f"{MANAGED_BY}={OWN}", "-o", "json")
        begun = time.monotonic()
        if begun < self._rests_until_s:
            self._rest(self._rests_until_s - begun)  # threads that ask in this time share the answer
            begun = time.monotonic()
        done = self.ask(*words)
        ended = time.monotonic()
        self._rests_until_s = ended + min(_LONGEST_REST_S, _REST_TIMES * (ended - begun))
        if not done.succeeded and refusal_of(done).reason in ("Expired", "Gone"):
            done = self.run(*words)  # the list was too old while it was read in parts
        if not done.succeeded:
            raise MachineError(f"kubectl get jobs failed: {printable(refusal_of(done).text)}")
        jobs, pods, _ = read_objects(_json(done.stdout))
        return jobs, pods

    def _raise_if_silent(self, done: host_commands.CommandResult) -> None:
        found = refusal_of(done)
        if found.reason == "Unauthorized":
            raise self._silence.error(
                f"the login for {self.where} has expired: {printable(found.text)}",
                hint="log in again, and try: kubectl auth can-i create jobs",
            )
        if found.reason in _BUSY_REASONS:
            raise self._silence.error(f"the server of {self.where} asks to be asked later")
        if not found.reason and any(words in done.stderr for words in _SILENT):
            raise self._silence.error(f"the server of {self.where} does not answer")


def _json(text: str) -> dict[str, Any]:
    try:
        body = parse_json(text, most_bytes=_MOST_BYTES)
    except JsonError:
        body = None
    if not isinstance(body, dict):
        raise MachineError(
            "kubectl answered with something that is no JSON", hint="try: kubectl get jobs -o json"
        )
    return body
