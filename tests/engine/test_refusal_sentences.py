"""Texts that only a real engine was asked for otherwise, as engines write them, each with its sentence and next step."""

from __future__ import annotations

import pytest

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
