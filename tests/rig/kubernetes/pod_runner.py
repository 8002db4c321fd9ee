"""The kubelet of the stand-in: runs pods as containers of the private Docker engine, with their volumes, user, limits,
/dev/shm and secrets as a node would mount them, and writes their status.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from api_server import Body, Refused, Store, now

import rig

_VARIABLE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def is_over(pod: Body) -> bool:
    return pod["status"]["phase"] in ("Succeeded", "Failed")


def condition(pod: Body, kind: str, status: str, reason: str = "", message: str = "") -> bool:
    """Sets a condition; whether it changed."""
    conditions = pod["status"].setdefault("conditions", [])
    wanted = {"type": kind, "status": status, "reason": reason, "message": message}
    for one in conditions:
        if one["type"] == kind:
            if {key: one.get(key, "") for key in wanted} == wanted:
                return False
            conditions.remove(one)
            break
    conditions.append({**wanted, "lastTransitionTime": now()})
    return True


def expanded(text: str, variables: dict[str, str]) -> str:
    """As the kubelet expands commands: ``$(NAME)`` where it is known, ``$$`` for one dollar.

    Source: Kubernetes, define a command and arguments for a container.
    """
    return _VARIABLE.sub(lambda found: "$" if found[1] is None else variables.get(found[1], found[0]), text)


class PodRunner:
    """``claims`` are the folders of the claims by name. ``pull_errors`` are what a registry says by image."""

    def __init__(self, store: Store, engine: rig.Engine, home: Path) -> None:
        self.store, self.engine, self.home = store, engine, home
        self.claims: dict[str, Path] = {}
        self.pull_errors: dict[str, str] = {}
        self.mount_errors: dict[str, str] = {}
        self.lost_nodes: set[str] = set()
        self._threads: list[threading.Thread] = []
        self._is_closed = False
        self._mark = f"kube-{os.getpid()}-{secrets.token_hex(4)}"

    def start(self, pod: Body) -> None:
        thread = threading.Thread(target=self._run, args=(pod,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        self._is_closed = True
        found = self.engine.docker("ps", "-aq", "--filter", f"label={self._mark}").stdout.split()
        if found:
            self.engine.docker("rm", "-f", *found)
        for thread in self._threads:
            thread.join(100)
        shutil.rmtree(self.home, ignore_errors=True)

    def log(self, pod: Body, follow: bool) -> Iterator[bytes]:
        words = ["docker", "logs", *(["-f"] if follow else []), self._container(pod)]
        environment = {**os.environ, **self.engine.environment()}
        with subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            while piece := process.stdout.read1(65536):  # type: ignore[attr-defined]
                yield piece

    def execute(self, pod: Body, command: list[str], has_terminal: bool) -> tuple[list[str], dict[str, str]]:
        """The line that runs a command in its container, and its environment."""
        options = ["-i", *(["-t"] if has_terminal else [])]
        line = ["docker", "exec", *options, self._container(pod), *command]
        return line, {**os.environ, **self.engine.environment()}

    def kill(self, pod: Body) -> None:
        """As when its node loses power."""
        self.engine.docker("kill", self._container(pod))

    def _container(self, pod: Body) -> str:
        return f"kube-{pod['metadata']['uid']}"

    def _run(self, pod: Body) -> None:
        blocked = self._pull_error(pod)
        while blocked is not None and not self._is_going(pod):
            self._blocked(pod, *blocked)
            self._wait(pod)
            blocked = self._pull_error(pod)
        mounts = self._mounts(pod)
        while isinstance(mounts, str) and not self._is_going(pod):
            with self.store.changed:
                if not any(one["involvedObject"]["name"] == pod["metadata"]["name"] and one["reason"] == "FailedMount"
                           for one in self.store.all("events")):  # fmt: skip
                    self.store.event(pod, "Pod", "FailedMount", mounts)
            self._blocked(pod, "ContainerCreating", "")
            self._wait(pod)
            mounts = self._mounts(pod)
        if self._is_going(pod) or isinstance(mounts, str):
            self._fail(pod)
            return
        made = self.engine.docker("run", "-d", *self._words(pod, mounts))
        if made.returncode:
            self._over(pod, 128, "StartError", made.stderr.strip())
            return
        with self.store.changed:
            pod["status"]["phase"] = "Running"
            condition(pod, "Ready", "True")
            self._state(pod, {"running": {"startedAt": now()}})
        self._watch(pod)

    def _watch(self, pod: Body) -> None:
        name = self._container(pod)
        words = ["docker", "wait", name]
        environment = {**os.environ, **self.engine.environment()}
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as waiter:
            if not self._end(pod, waiter):
                return
            code = int((waiter.stdout.read() if waiter.stdout else "").strip() or 137)
        oom = self.engine.docker("inspect", "-f", "{{.State.OOMKilled}}", name).stdout.strip() == "true"
        tail = ""
        if code and pod["spec"]["containers"][0].get("terminationMessagePolicy") == "FallbackToLogsOnError":
            shown = self.engine.docker("logs", "--tail", "80", name)
            tail = (shown.stdout + shown.stderr)[-2048:]
        self._over(pod, code, "OOMKilled" if oom else "Error" if code else "Completed", tail)

    def _end(self, pod: Body, waiter: subprocess.Popen[str]) -> bool:
        """Waits for the end of a container, which the cluster may bring about. False where its node is lost."""
        name, deadline = self._container(pod), pod["spec"].get("activeDeadlineSeconds")
        started = time.monotonic()
        while waiter.poll() is None:
            if pod["spec"]["nodeName"] in self.lost_nodes:
                waiter.kill()
                return False
            grace = pod["metadata"].get("deletionGracePeriodSeconds")
            is_late = deadline is not None and time.monotonic() - started > deadline
            if is_late:
                pod["status"]["reason"] = "DeadlineExceeded"
                pod["status"]["message"] = "Pod was active on the node longer than the specified deadline"
            if grace is not None or is_late or pod["status"].get("reason") == "Evicted":
                self.engine.docker("stop", "-t", str(min(grace or 5, 60)), name)
            with self.store.changed:
                if waiter.poll() is None:
                    self.store.changed.wait(0.1)
        return True

    def _over(self, pod: Body, code: int, reason: str, message: str) -> None:
        with self.store.changed:
            state = {
                "exitCode": code,
                "reason": reason,
                "message": message,
                "finishedAt": now(),
                "startedAt": now(),
            }
            pod["status"]["phase"] = "Failed" if code or pod["status"].get("reason") else "Succeeded"
            condition(pod, "Ready", "False")
            self._state(pod, {"terminated": state})

    def _fail(self, pod: Body) -> None:
        with self.store.changed:
            pod["status"]["phase"] = "Failed"
            self.store.touch(pod)

    def _blocked(self, pod: Body, reason: str, message: str) -> None:
        with self.store.changed:
            state = {"waiting": {"reason": reason, "message": message}}
            known = pod["status"].get("containerStatuses", [{}])[0].get("state")
            if known != state:
                self._state(pod, state)

    def _state(self, pod: Body, state: dict[str, Any]) -> None:
        container = pod["spec"]["containers"][0]
        pod["status"]["containerStatuses"] = [
            {"name": container["name"], "image": container["image"], "imageID": "", "ready": "running" in state,
             "restartCount": 0, "state": state}
        ]  # fmt: skip
        self.store.touch(pod)

    def _wait(self, pod: Body) -> None:
        with self.store.changed:
            self.store.changed.wait(0.3)

    def _is_going(self, pod: Body) -> bool:
        return self._is_closed or bool(pod["metadata"].get("deletionTimestamp"))

    def _pull_error(self, pod: Body) -> tuple[str, str] | None:
        image = pod["spec"]["containers"][0]["image"]
        known = pod["status"].get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        said = self.pull_errors.get(image)
        if said is None and self.engine.docker("image", "inspect", image).returncode:
            said = f'failed to pull and unpack image "{image}": {image}: not found'
        if said is None:
            return None
        if known.get("reason") in ("ErrImagePull", "ImagePullBackOff"):
            return "ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {said}'
        return "ErrImagePull", said

    def _mounts(self, pod: Body) -> list[str] | str:
        """Words for docker, or why a volume cannot be mounted."""
        namespace, uid = pod["metadata"]["namespace"], pod["metadata"]["uid"]
        sources: dict[str, Path] = {}
        for volume in pod["spec"].get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                if claim in self.mount_errors:
                    return self.mount_errors[claim]
                sources[volume["name"]] = self.claims[claim]
            elif "secret" in volume:
                try:
                    with self.store.changed:
                        found = self.store.get("secrets", namespace, volume["secret"]["secretName"])
                except Refused as refused:
                    return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {refused.message.replace("secrets", "secret")}'
                sources[volume["name"]] = _secret_folder(self.home / uid, found, volume["secret"])
        words: list[str] = []
        for mount in pod["spec"]["containers"][0].get("volumeMounts", ()):
            volume = next(one for one in pod["spec"]["volumes"] if one["name"] == mount["name"])
            if "emptyDir" in volume:
                continue
            source = sources[mount["name"]] / mount.get("subPath", "")
            if not os.path.lexists(source):
                source.mkdir(mode=0o750, parents=True)  # as the kubelet does, for root
            read_only = ",readonly" if mount.get("readOnly") else ""
            words += ["--mount", f"type=bind,source={source},target={mount['mountPath']}{read_only}"]
        return words

    def _words(self, pod: Body, mounts: list[str]) -> list[str]:
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        variables: dict[str, str] = {}
        for one in container.get("env", ()):
            if "value" in one:
                variables[one["name"]] = expanded(one["value"], variables)
            else:
                variables[one["name"]] = _field(pod, one["valueFrom"]["fieldRef"]["fieldPath"])
        limits = container.get("resources", {}).get("limits", {})
        gpus = int(limits.get("nvidia.com/gpu", 0))
        if gpus:
            variables["NVIDIA_VISIBLE_DEVICES"] = ",".join(map(str, range(gpus)))
        words = ["--name", self._container(pod), "--label", self._mark, *mounts]
        words += ["--hostname", spec.get("hostname", pod["metadata"]["name"])[:63]]
        for volume in spec.get("volumes", ()):
            if volume.get("emptyDir", {}).get("medium") == "Memory":
                words += ["--shm-size", str(_bytes(volume["emptyDir"]["sizeLimit"]))]
        if "memory" in limits:
            words += [
                "--memory",
                str(_bytes(limits["memory"])),
                "--memory-swap",
                str(_bytes(limits["memory"])),
            ]
        security = spec.get("securityContext", {})
        if "runAsUser" in security:
            words += ["--user", f"{security['runAsUser']}:{security.get('runAsGroup', 0)}"]
        for name, value in variables.items():
            words += ["--env", f"{name}={value}"]
        if "workingDir" in container:
            words += ["--workdir", container["workingDir"]]
        command = [
            expanded(word, variables) for word in (*container.get("command", ()), *container.get("args", ()))
        ]
        if container.get("command"):
            words += ["--entrypoint", command[0]]
            command = command[1:]
        return [*words, container["image"], *command]


def _secret_folder(home: Path, found: Body, wanted: Body) -> Path:
    """Files of root, as a node without an fsGroup makes them."""
    folder = home / found["metadata"]["name"]
    for item in wanted["items"]:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.unlink()
        path.write_bytes(base64.b64decode(found["data"][item["key"]]))
        path.chmod(item.get("mode", wanted.get("defaultMode", 0o644)))
    for one in (home.parent, home, folder):
        one.chmod(0o755)
    return folder


def _field(pod: Body, path: str) -> str:
    if path == "metadata.name":
        return str(pod["metadata"]["name"])
    if path == "spec.nodeName":
        return str(pod["spec"]["nodeName"])
    match = re.fullmatch(r"metadata\.annotations\['(.+)'\]", path)
    assert match is not None, path
    return str(pod["metadata"]["annotations"].get(match[1], ""))


def _bytes(quantity: str) -> int:
    shifts = {"Ki": 10, "Mi": 20, "Gi": 30}
    return int(quantity[:-2]) << shifts[quantity[-2:]] if quantity[-2:] in shifts else int(quantity)
