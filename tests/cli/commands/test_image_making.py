"""From a source tree to a pinned run: ``image release``, ``test``, ``push`` and ``lock`` as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import CALLER, Cli, files_holding

SPEC = """\
results_dir: $results_dir
train: {num_gpus: $num_gpus, gpu_ids: $gpu_ids, num_epochs: 1, validation_interval: 1, checkpoint_interval: 1}
dataset: {train_img_dir: $dataset_raw/train, train_ann_path: $dataset_raw/annotations.json}
"""
"""Of MAL, which has no deploy image: the images of every action are locked, and this registry has one."""
SETUP = """\
import setuptools
setuptools.setup(name="nvidia-tao-small", version="7.0.1", packages=["small"])
"""
VERSION = 'MAJOR = "7"\nMINOR = "0"\nPATCH = "1"\nPRE_RELEASE = ""\n__package_name__ = "nvidia-tao-small"\n'
DOCKERFILE = """\
FROM {base}
COPY dist/*.whl /wheels/
RUN mkdir /site && for wheel in /wheels/*.whl; do python3 -m zipfile -e $wheel /site; done
ENV PYTHONPATH=/site
"""


def owned(*roots: Path) -> None:
    """By the caller of the commands, where those are another user's."""
    if os.geteuid() == 0:
        for root in roots:
            for path in [root, *root.rglob("*")]:
                os.chown(path, CALLER, CALLER, follow_symlinks=False)


@pytest.fixture(scope="session")
def python() -> str:
    """A Python whose setuptools builds wheels."""
    for found in (sys.executable, "/usr/bin/python3"):
        for needed in ("setuptools.command.bdist_wheel", "setuptools, wheel"):
            if (
                Path(found).exists()
                and not subprocess.run(
                    [found, "-c", f"import {needed}"], capture_output=True, check=False
                ).returncode
            ):
                return found
    pytest.skip("no Python here with setuptools that can build wheels")


@pytest.fixture
def tree(tmp_path: Path, tao_image: Callable[..., str]) -> Path:
    root = tmp_path / "tree"
    files = {
        "setup.py": SETUP,
        "release/python/version.py": VERSION,
        "release/docker/Dockerfile": DOCKERFILE.format(base=tao_image("pyt_7")),
        "small/__init__.py": "WORD = 'first'\n",
        "docker/manifest.json": '{\n    "registry": "nvcr.io",\n    "repository": "x",\n    "digest": "sha256:0"\n}\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    owned(root)
    return root


def test_from_a_source_tree_to_a_run_that_stays_with_its_digest(
    docker_cli: Cli, tree: Path, images: Any, workspace_factory: Callable[..., Path], python: str
) -> None:
    repository = f"{images.registry}/team/tao"
    reference = f"{repository}:v7.0.1-py3"
    images.made.append(reference)

    def release(word: str) -> str:
        """Releases, tests and pushes the tree with this word in it; gives the digest."""
        (tree / "small" / "__init__.py").write_text(f"WORD = {word!r}\n")
        words = ("image", "release", tree, "--repository", repository, "--suffix", "py3", "--python", python)
        released = docker_cli(*words, "--json", timeout_s=120)
        assert released.code == 0, released
        assert released.json["image"] == reference and released.json["version"] == "7.0.1"
        assert "Step 4/4 : ENV PYTHONPATH=/site" in released.err
        tried = docker_cli(
            "image", "test", reference, "--", "python3", "-c", "import small; print(small.WORD)"
        )
        assert (tried.code, tried.out.splitlines()[-1:]) == (0, [word]), tried
        pushed = docker_cli("image", "push", reference, "--manifest", tree / "docker" / "manifest.json")
        assert pushed.code == 0, pushed
        name, _, digest = pushed.out.strip().partition("@")
        assert name == reference
        kept = json.loads((tree / "docker" / "manifest.json").read_text())
        assert kept == {"registry": images.registry, "repository": "team/tao", "digest": digest}
        return digest

    first = release("first")
    experiment = {
        "head": "mal", "dataset": "coco", "image": reference, "release": "7.0.1", "gpus": 1, "gpu_indices": [0],
    }  # fmt: skip
    root = workspace_factory(
        {"experiments": {"e1": experiment}},
        specs={"e1/train.yaml": SPEC},
        data={"coco/annotations.json": "{}", "coco/train/file": "x"},
    )
    owned(root)
    locked = docker_cli("image", "lock", cwd=root)
    assert locked.code == 0, locked
    pinned = f"{repository}@{first}"

    second = release("second")
    assert second != first
    moved = docker_cli("image", "lock", "--check", cwd=root)
    assert moved.code == 3, moved
    assert f'error: "{reference}" moved from {first} to {second} [tag-moved]' in moved.out

    images.forget(reference, pinned)  # of the first only the registry knows; nothing names it any more
    done = docker_cli("train", "e1", cwd=root)
    assert done.code == 0, done
    (run,) = (root / ".taorunner" / "runs").iterdir()
    record = json.loads((run / "record.json").read_text())
    assert (record["state"], record["image"], record["image_digest"]) == ("SUCCEEDED", pinned, first)
    shown = docker_cli("image", "ls", "--json", cwd=root)
    assert shown.code == 0, shown
    listed = shown.json
    assert [(row["image"], row["runs_as"], row["present"], row["digest"]) for row in listed] == [
        (reference, pinned, True, first)
    ]
    inside = docker_cli("image", "test", pinned, "--", "python3", "-c", "import small; print(small.WORD)")
    assert (inside.code, inside.out.splitlines()[-1:]) == (0, ["first"]), inside
    images.forget(pinned)


def test_build_prints_names_and_id(docker_cli: Cli, tmp_path: Path, noop_image: str, engine: Any) -> None:
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM {noop_image}\nARG NGC_API_KEY\nARG WORD\nRUN echo word is $WORD $NGC_API_KEY\n"
    )
    owned(folder)
    tag = "taorunner-test/cli-built:1"
    key = "nvapi-0123456789-secret"
    words = (
        "image",
        "build",
        "-t",
        tag,
        "--build-arg",
        "WORD=x",
        "--build-arg",
        "NGC_API_KEY",
        "--iidfile",
        "id",
    )
    done = docker_cli(*words, cwd=folder, env={"NGC_API_KEY": key})
    assert done.code == 0, done
    image = engine.docker("inspect", "-f", "{{.Id}}", tag).stdout.strip()
    assert done.out.splitlines() == [tag, image]
    assert (folder / "id").read_text() == image
    assert "word is x ***" in done.err.splitlines()
    assert done.err.splitlines()[0] == ('warning: "NGC_API_KEY" stays readable in the image (docker history)')
    assert key not in done.err
    again = docker_cli("image", "build", folder, "-t", tag, "--build-arg", "WORD=x", "--json", "--force")
    assert again.code == 0, again
    assert again.json["images"] == [tag] and again.json["id"] != image
    engine.docker("rmi", "-f", tag, image)


def test_wrong_words(docker_cli: Cli, tmp_path: Path, noop_image: str) -> None:
    def messages(*words: str, env: dict[str, str] | None = None) -> tuple[int, str]:
        done = docker_cli("image", *words, cwd=tmp_path, env=env)
        assert done.out == "", done
        return done.code, done.err.splitlines()[0] if done.err else ""

    assert messages("test", noop_image) == (2, "error: the command is missing")
    assert messages("test", "taorunner-test/no:1", "--", "x") == (
        5,
        'error: the engine has no image "taorunner-test/no:1"',
    )
    assert messages("build", "nowhere") == (
        3, 'nowhere/Dockerfile: error: "Dockerfile" cannot be read: no such file or directory [dockerfile-unreadable]',
    )  # fmt: skip
    assert messages("build", "--build-arg", "=x") == (2, 'error: --build-arg takes NAME=VALUE, not "=x"')
    assert messages("push", noop_image, "--repository", "Not A Name") == (
        2,
        'error: "Not A Name" is not the name of an image',
    )
    assert messages("build", "-t", "Big:1") == (2, 'error: "Big:1" is not the name of an image')
    assert messages("pull", "x:1", "a b") == (2, 'error: "a b" is not the name of an image')
    assert messages("push", noop_image, "--repository", "127.0.0.1:9/x:1", "--plain")[0] == 5
    assert messages("push", noop_image, "--manifest", "no/folder/m.json") == (
        3, 'error: there is no folder "no/folder" to write "m.json" into',
    )  # fmt: skip
    assert messages("release", "nowhere") == (3, 'error: there is no folder "nowhere"')
    gone = {"DOCKER_HOST": f"unix://{tmp_path}/gone.sock"}
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    for words in (("build",), ("push", "x:1"), ("test", "x:1", "--", "y")):
        assert messages(*words, env=gone) == (
            4,
            f'error: no docker engine answers at "unix://{tmp_path}/gone.sock" [engine]',
        )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_test_and_leaves_nothing(
    docker_cli: Cli, noop_image: str, own_tag: Callable[[str], str], engine: Any, number: signal.Signals
) -> None:
    image = own_tag(noop_image)
    process = docker_cli.start("image", "test", image, "--", "sh", "-c", "echo begun; sleep 60")
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.trial={image}").stdout == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_build_of_a_wheel_and_leaves_nothing(
    docker_cli: Cli, tree: Path, noop_image: str, own_tag: Callable[[str], str], engine: Any, tmp_path: Path,
    number: signal.Signals,
) -> None:  # fmt: skip
    place = tmp_path / "temporary"
    place.mkdir()
    owned(place)
    image = own_tag(noop_image)
    process = docker_cli.start(
        "image", "release", tree, "--in", image, "--python", "yes", env={"TMPDIR": str(place)}
    )
    assert process.stderr is not None
    while b"egg_info" not in process.stderr.readline():
        assert process.poll() is None
    process.stderr.readline()  # yes has begun
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.trial={image}").stdout == ""
    assert list(place.iterdir()) == []


def test_the_password_of_a_registry_is_found_nowhere(
    docker_cli: Cli,
    registry: Any,
    images: Any,
    workspace_factory: Callable[..., Path],
    tmp_path: Path,
    engine: Any,
) -> None:
    reference = registry.push(images.build("taorunner-test/canary:1"), "canary/tao:1")
    experiment = {"head": "mal", "dataset": "coco", "image": reference, "release": "7.0.1"}
    root = workspace_factory(
        {"experiments": {"e1": experiment}}, specs={"e1/train.yaml": SPEC}, data={"coco/train/file": "x"}
    )
    (root / "Dockerfile").write_text(f"FROM {reference}\nRUN env\n")
    owned(root)
    login = registry.credentials(tmp_path / "login")
    owned(login)
    env = {"DOCKER_CONFIG": str(login), "NGC_API_KEY": "nvapi-canary-0815"}
    messages = ""
    for words in (
        ("pull", reference), ("pull", f"{reference}-nope"), ("lock",), ("lock", "--check"), ("ls",), ("pull",),
        ("build", "-t", f"{registry.address}/canary/built:1"), ("test", reference, "--", "env"),
        ("push", f"{registry.address}/canary/built:1", "--manifest", "m.json"),
        ("push", f"{registry.address}/canary/built:1", "--repository", "127.0.0.1:9/x"),
    ):  # fmt: skip
        done = docker_cli("image", *words, cwd=root, env=env)
        assert (done.code == 0) == ("nope" not in str(words) and "127.0.0.1:9/x" not in words), done
        messages += done.out + done.err
    stored = json.loads((login / "config.json").read_text())["auths"][registry.address]["auth"]
    for secret in (registry.password, stored, "canary-0815"):
        assert secret not in messages
        assert files_holding(root, secret) == []
        assert secret not in engine.docker("inspect", f"{registry.address}/canary/built:1").stdout
        assert (
            secret not in engine.docker("history", "--no-trunc", f"{registry.address}/canary/built:1").stdout
        )
    images.forget(reference, f"{registry.address}/canary/built:1", "127.0.0.1:9/x:1")
