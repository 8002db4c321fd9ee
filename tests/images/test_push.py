"""Images go into registries, and digests into the manifest files of source trees, in their format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from registries import QUICK, Seen
from scripted_engine import Image, ScriptedEngine

from taorunner.engine import client
from taorunner.engine.registry import remote_digest
from taorunner.errors import EngineRefusedError, MachineError, UsageError, UserFilesError
from taorunner.images.manifest_file import read_manifest_file
from taorunner.images.push import Pushed, push_image

A = "sha256:" + "ab" * 32
PYTORCH = """\
{
    "registry": "nvcr.io",
    "repository": "nvstaging/tao/tao_pytorch_base_image",
    "digest": "sha256:ff920080025e2dd12d5740c3d722f0630f1f84630ae6f55e56f872d4914fca03"
}
"""


def test_the_digest_is_reported_and_written(connected: client.Engine, images: Any, tmp_path: Path) -> None:
    image = images.build("pushed/base:mine", layers=2)
    file = tmp_path / "manifest.json"
    file.write_text(PYTORCH)
    watcher = Seen()
    done = push_image(connected, image, watcher, repository=f"{images.registry}/pushed/base", manifest=file)
    reference = f"{images.registry}/pushed/base:mine"
    assert (done.reference, done.digest) == (reference, remote_digest(connected, reference))
    assert file.read_text() == PYTORCH.replace("nvcr.io", images.registry).replace(
        "nvstaging/tao/tao_pytorch_base_image", "pushed/base"
    ).replace(json.loads(PYTORCH)["digest"], done.digest)
    last = watcher.states[reference][-1]
    assert (last.layers_done, last.layers) == (3, 3)
    assert watcher.ended == [reference]
    images.forget(reference)


def test_a_new_manifest_file(connected: client.Engine, images: Any, tmp_path: Path) -> None:
    reference = images.build(f"{images.registry}/pushed/new:1")
    done = push_image(connected, reference, Seen(), manifest=tmp_path / "manifest.json")
    assert (tmp_path / "manifest.json").read_text() == (
        f'{{\n    "registry": "{images.registry}",\n    "repository": "pushed/new",\n    "digest": "{done.digest}"\n}}\n'
    )
    assert [path.name for path in tmp_path.iterdir() if "manifest" in path.name] == ["manifest.json"]


def test_a_login_for_a_push(
    connected: client.Engine, images: Any, registry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = images.build("pushed/private:1")
    target = f"{registry.address}/pushed/private:1"
    images.made.append(target)
    with pytest.raises(MachineError) as caught:
        push_image(connected, image, Seen(), repository=target, patience=QUICK)
    assert caught.value.message == f'the registry of "{target}" requires a login'
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))
    assert push_image(client.connect(), image, Seen(), repository=target).digest.startswith("sha256:")


def test_what_cannot_be_pushed(connected: client.Engine, images: Any, tmp_path: Path) -> None:
    image = images.build("pushed/here:1")
    with pytest.raises(EngineRefusedError, match=r'the engine has no image "pushed/heer:1"') as unknown:
        push_image(connected, "pushed/heer:1", Seen())
    assert unknown.value.hint == 'did you mean "pushed/here:1"?'
    for name, repository in ((f"pushed/here@{A}", None), (image, f"a.b/c@{A}")):
        with pytest.raises(UsageError):
            push_image(connected, name, Seen(), repository=repository)
    with pytest.raises(UsageError, match="is not the name of an image"):
        push_image(connected, image, Seen(), repository="Not A Name")

    damaged = tmp_path / "manifest.json"
    damaged.write_text('{\n  "registry": "x",\n}\n')
    target = f"{images.registry}/pushed/never:1"
    with pytest.raises(UserFilesError) as caught:
        push_image(connected, image, Seen(), repository=target, manifest=damaged)
    assert [(one.line, one.code) for one in caught.value.findings] == [(3, "manifest-damaged")]
    assert remote_digest(connected, target) is None


@pytest.mark.parametrize(
    ("text", "reference", "architecture", "expected"),
    [
        ('{\n  "digest": "x",\n  "tag": "old",\n  "more": [1, {"a": 2}]\n}', "nvcr.io/a/b:5.5", "amd64",
         {"digest": A, "tag": "5.5", "more": [1, {"a": 2}], "registry": "nvcr.io", "repository": "a/b"}),
        ('{"registry": "r", "repository": "n", "digests": {"x86": "1", "arm": "2"}}', "localhost:5000/n:1", "arm64",
         {"registry": "localhost:5000", "repository": "n", "digests": {"x86": "1", "arm": A}}),
        ("{}", "busybox:1", None, {"registry": "docker.io", "repository": "library/busybox", "digest": A}),
    ],
)  # fmt: skip
def test_other_keys_stay(
    tmp_path: Path, text: str, reference: str, architecture: str | None, expected: dict[str, Any]
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(text)
    file.chmod(0o640)
    read_manifest_file(file).with_push(reference, A, architecture).write()
    read = json.loads(file.read_text())
    assert (read, list(read)) == (expected, list(expected))
    assert file.stat().st_mode & 0o777 == 0o640


def test_the_indentation_stays(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text('{\n\t"digest": "x"\n}\n')
    read_manifest_file(file).with_push("a.b/c:1", A, None).write()
    assert file.read_text().splitlines()[1] == f'\t"digest": "{A}",'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "not valid JSON: expecting value"),
        ("[]", (1, 1), 'not a mapping with "registry", "repository" and "digest"'),
        ('{"a": 1,\n "b"}', (2, 5), "not valid JSON: expecting ':' delimiter"),
        ('{"digests": {"x86": "1"}}', (1, 1), '"digests" has no "arm": x86'),
        ("[" * 100_000, (1, 1), "not valid JSON: nested deeper than 60 levels"),
    ],
)
def test_damaged_manifest_files(tmp_path: Path, text: str, place: tuple[int, int], message: str) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(text)
    with pytest.raises(UserFilesError) as caught:
        read_manifest_file(file).with_push("a.b/c:1", A, "arm64")
    assert [(one.file, (one.line, one.column), one.message) for one in caught.value.findings] == [
        (file, place, message)
    ]


def pushing(scripted: ScriptedEngine, *events: dict[str, Any], name: str = "r.io/mine:1") -> None:
    scripted.images["mine:1"] = Image("sha256:mine")
    scripted.pushes[name] = [list(events)]


def test_an_image_is_pushed_as_its_new_name(scripted: ScriptedEngine, tmp_path: Path) -> None:
    pushing(scripted, {"id": "a", "status": "Pushed"}, {"aux": {"Digest": A}})
    watcher, file = Seen(), tmp_path / "manifest.json"
    done = push_image(client.connect(), "mine:1", watcher, repository="r.io/mine", manifest=file)
    assert done == Pushed("r.io/mine:1", A, file)
    assert A in file.read_text()
    assert (watcher.begun, watcher.ended) == ({"r.io/mine:1": None}, ["r.io/mine:1"])
    assert scripted.images["r.io/mine:1"].id == "sha256:mine"
    assert done.to_json()["manifest"] == str(file)


def test_an_image_of_the_registrys_name_needs_no_second_name(scripted: ScriptedEngine) -> None:
    scripted.images["r.io/mine:latest"] = scripted.images["r.io/mine"] = Image("sha256:mine")
    scripted.pushes["r.io/mine:latest"] = [[{"aux": {"Digest": A}}]]
    assert push_image(client.connect(), "r.io/mine", Seen()) == Pushed("r.io/mine:latest", A)
    assert scripted.changes == ["POST /images/r.io/mine/push"]


def test_a_digest_that_the_engine_does_not_say_is_asked_of_the_registry(scripted: ScriptedEngine) -> None:
    pushing(scripted)
    scripted.registry["r.io/mine:1"] = A
    assert push_image(client.connect(), "mine:1", Seen(), repository="r.io/mine:1").digest == A
    pushing(scripted)
    del scripted.registry["r.io/mine:1"]
    with pytest.raises(EngineRefusedError, match="was pushed, but its registry does not have it"):
        push_image(client.connect(), "mine:1", Seen(), repository="r.io/mine:1")


def test_nothing_is_pushed_where_the_manifest_file_cannot_be_used(
    scripted: ScriptedEngine, tmp_path: Path
) -> None:
    pushing(scripted)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserFilesError):
        push_image(
            client.connect(), "mine:1", Seen(), repository="r.io/mine", manifest=tmp_path / "manifest.json"
        )
    with pytest.raises(EngineRefusedError, match=r'the engine has no image "mine:2"'):
        push_image(client.connect(), "mine:2", Seen(), repository="r.io/mine")
    assert scripted.changes == []


@pytest.mark.parametrize(
    ("image", "repository", "target"),
    [
        ("mine:1", "r.io/mine", "r.io/mine:1"), ("mine:1", "r.io/mine:2", "r.io/mine:2"),
        ("mine:1", "localhost:5000/mine", "localhost:5000/mine:1"), (f"mine@{A}", "r.io/mine", "r.io/mine:latest"),
        ("r.io/own", "r.io/own", "r.io/own:latest"), ("r.io/own", None, "r.io/own:latest"),
    ],
)  # fmt: skip
def test_the_name_in_the_registry(
    scripted: ScriptedEngine, image: str, repository: str | None, target: str
) -> None:
    scripted.images[image] = Image("sha256:mine")
    scripted.pushes[target] = [[{"aux": {"Digest": A}}]]
    assert push_image(client.connect(), image, Seen(), repository=repository).reference == target


@pytest.mark.parametrize(
    ("image", "repository", "message"),
    [
        (f"mine@{A}", None, "has a digest but no tag"), ("mine:1", f"mine@{A}", '" has a digest'),
    ],
)  # fmt: skip
def test_a_digest_is_no_name_to_push_as(
    scripted: ScriptedEngine, image: str, repository: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        push_image(client.connect(), image, Seen(), repository=repository)
    assert caught.value.message.endswith(message)
