"""Texts that only a real engine was asked for otherwise, as engines write them, each with its sentence and next step."""

from __future__ import annotations

import re

import pytest

from taorunner.engine.create.podman_refusals import PODMAN_ROWS
from taorunner.engine.refusals import Asked, text_of, translate
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError

MOUNTS = ".tao_mounts.json"


@pytest.mark.parametrize(
    ("text", "kind", "message", "hint"),
    [
        ("invalid reference format", EngineRefusedError, '"tao:5" is not the name of an image', "write repository:tag in lower case"),
        ("invalid reference format: repository name (A) must be lowercase", EngineRefusedError,
         '"tao:5" is not the name of an image: repository name (A) must be lowercase', "write repository:tag in lower case"),
        ("invalid mount config for type \"bind\": bind source path does not exist: /nas/x ", EngineRefusedError,
         'the folder "/nas/x" to mount does not exist on the engine\'s machine', f"create it, or correct Mounts in {MOUNTS}"),
        ("error setting rlimit type 8: operation not permitted", EngineRefusedError,
         'the engine may not raise the limit "memlock"', f'remove "memlock" from DockerOptions ulimits in {MOUNTS}'),
        ("error setting rlimit type 99: operation not permitted", EngineRefusedError,
         'the engine may not raise the limit "number 99"', f'remove "number 99" from DockerOptions ulimits in {MOUNTS}'),
        ("wrong rlimit value: RLIMIT_NONE", EngineRefusedError, 'there is no limit "none"', "use memlock, stack, nofile"),
        ("Duplicate mount point: /workspace", EngineRefusedError,
         'two folders have the same destination "/workspace"', f"use each destination once under Mounts in {MOUNTS}"),
        ("unable to apply caps: operation not permitted", EngineRefusedError,
         "the engine may not give a container these privileges", f'remove "privileged" from DockerOptions in {MOUNTS}'),
        ('Conflict. The container name "/run-1" is already in use by container "x".', EngineRefusedError,
         'there is another container named "run-1"', "docker rm -f run-1"),
        ("write /var/lib/docker/x: no space left on device", MachineError,
         "no space left on the disk of the docker engine", "see what uses it with docker system df"),
        ("unable to find user ada: no matching entries in passwd file", EngineRefusedError,
         'the image has no user "ada"', "write the user as numbers, uid:gid"),
        ("unable to find group staff: no matching entries", EngineRefusedError, 'the image has no user "staff"', "write the user as"),
        ("network mine not found", EngineRefusedError, 'the engine has no network "mine"', "list them with docker network ls"),
        ("Path to a certificate and key files must be provided", MachineError,
         "the certificates for the docker engine cannot be used: path to a certificate", "put ca.pem, cert.pem and key.pem into"),
        ("error getting credentials - err: exit status 1, out: `x`", MachineError,
         "the docker login cannot be read: exit status 1, out: `x`", "install the credential helper"),
        ("PermissionError(13, 'Permission denied')", MachineError,
         'no permission for the docker engine at "unix:///sock"', "sudo usermod -aG docker $USER"),
        ("Read timed out. (read timeout=60)", MachineError,
         'the docker engine at "unix:///sock" does not answer in time', "check it with docker info"),
        ("Max retries exceeded with url", MachineError, 'no docker engine answers at "unix:///sock"', "start it with sudo s"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", EngineRefusedError,
         'the image "tao:5" is not built for this machine: no matching manifest for linux/arm64/v8', "TAO images are built for x86-64"),
        ("toomanyrequests: You have reached your pull rate limit", EngineRefusedError,
         'the registry of "tao:5" limits the number of pulls for now', "wait, or docker login"),
    ],
)  # fmt: skip
def test_the_sentence_and_the_next_step(
    text: str, kind: type[TaorunnerError], message: str, hint: str
) -> None:
    error = translate(text, Asked("unix:///sock", "tao:5"))
    assert (type(error), error.message) == (kind, message)
    assert (error.hint or "").startswith(hint)


OF_PODMAN = Asked("unix:///run/user/1000/podman/podman.sock", "tao:5")


PODMANS = [
    ("container-init binary not found on the host: stat /usr/libexec/podman/catatonit: no such file or directory",
     MachineError, "podman has no init program for containers", "install the package catatonit"),
    ("statfs /nas/x: no such file or directory", EngineRefusedError,
     'the folder "/nas/x" to mount does not exist on the engine\'s machine', "create it, or correct Mounts"),
    ("statfs /root/data: permission denied", EngineRefusedError,
     'the user of this rootless engine may not read the folder "/root/data" to mount', "give yourself access to it"),
    ('"/results": duplicate mount destination', EngineRefusedError,
     'two folders have the same destination "/results"', "use each destination once"),
    ("unable to find network with name or ID mine: network not found", EngineRefusedError,
     'the engine has no network "mine"', "list them with podman network ls"),
    ('/usr/bin/slirp4netns failed: "open(\\"/dev/net/tun\\"): Permission denied', MachineError,
     "a rootless podman could not set up the network of a container with slirp4netns", "install the packages"),
    ("could not find pasta, the network namespace can't be configured", MachineError,
     "a rootless podman could not set up the network of a container with pasta", "install the packages"),
    ("clamp-runc: level=error msg=\"runc create failed: unable to setup user: setgroups: invalid argument\": OCI runtime error",
     MachineError, "this rootless podman has too few user ids for the container", "sudo usermod --add-subuids"),
    ("crun: the requested cgroup controller `cpu` is not available: OCI runtime error", MachineError,
     'a rootless podman may not limit "cpu" on this machine', "let systemd delegate it"),
    ("crun: executable file `dino` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a "
     "command that was not found", EngineRefusedError, 'the image "tao:5" has no command "dino"', "check image in"),
    ("tao:5: image not known", EngineRefusedError, 'the image "tao:5" does not exist', "check name and tag: podman pull"),
    ("setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=7", EngineRefusedError,
     'there is no GPU "7" on the engine\'s machine', "list them with nvidia-smi -L and nvidia-ctk cdi list"),
    ("setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all", MachineError,
     "the engine has no description of the GPUs (CDI)", "sudo nvidia-ctk cdi generate"),
    ("Max retries exceeded with url", MachineError,
     'no podman answers at "unix:///run/user/1000/podman/podman.sock"', "systemctl --user start podman.socket"),
    ("PermissionError(13, 'Permission denied')", MachineError,
     'no permission for podman at "unix:///run/user/1000/podman/podman.sock"', "use your own: systemctl --user"),
    ("something odd", EngineRefusedError, "podman refused: something odd", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "kind", "message", "hint"), PODMANS)
def test_podmans_sentences_and_next_steps(
    text: str, kind: type[TaorunnerError], message: str, hint: str
) -> None:
    error = translate(text, OF_PODMAN)
    assert (type(error), error.message) == (kind, message)
    assert (error.hint or "").startswith(hint)


def test_every_row_of_podman_has_a_text() -> None:
    texts = [text for text, *_ in PODMANS]
    unsaid = [row.pattern for row in PODMAN_ROWS if not any(re.search(row.pattern, text) for text in texts)]
    assert unsaid == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Max retries exceeded", 'no docker engine answers at "the docker socket"'),
        ("timed out", 'the docker engine at "the docker socket" does not answer in time'),
        ("[Errno 13]", 'no permission for the docker engine at "the docker socket"'),
        ("invalid reference format", '"" is not the name of an image'),
        ('exec: "dino": executable file not found in $PATH', 'the image has no command "dino"'),
        (
            "no matching manifest for x",
            'the image "asked for" is not built for this machine: no matching manifest for x',
        ),
    ],
)
def test_what_was_not_said_is_left_open(text: str, message: str) -> None:
    assert translate(text).message == message


def test_an_error_of_ours_stays_and_others_have_a_text() -> None:
    ours = MachineError("ours")
    assert translate(ours) is ours

    class ExplainedError(Exception):
        explanation: str | bytes | None = b" caf\xc3\xa9 \xff "

    error = ExplainedError("with the URL")
    assert text_of(error) == "caf\u00e9 \ufffd"
    error.explanation = "said"
    assert text_of(error) == "said"
    error.explanation = None
    assert (text_of(error), text_of(ValueError()), text_of(" x ")) == ("with the URL", "ValueError", "x")
    assert translate(ConnectionError("something")).message.startswith("no docker engine answers")
    assert translate(ValueError("something")).message == "the docker engine refused: something"
