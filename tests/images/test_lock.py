"""Tags become digests, and moved tags are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_engine import Image, ScriptedEngine

from taorunner.engine import client
from taorunner.errors import EngineRefusedError, MachineError, UserFilesError
from taorunner.images.lock import Change, LockedImage, check_lock, lock_images
from taorunner.planning.spec.required_images import NeededImages, needed_images
from taorunner.project.image_lock import lock_text, read_image_lock
from taorunner.project.workspace import Workspace

Make = Callable[..., Path]


def needed(root: Path) -> NeededImages:
    return needed_images(Workspace(root), ["example_01"])


def lock(engine: client.Engine, root: Path, *, whole: bool = True) -> list[LockedImage]:
    found = needed(root)
    return lock_images(engine, found.images, found.lock, whole=whole)


def findings_of(engine: client.Engine, root: Path) -> list[tuple[str, str, int | None, str]]:
    found = needed(root)
    findings = check_lock(engine, found.images, found.lock)
    return [(one.code, one.file.name if one.file else "", one.line, one.message) for one in findings]


def test_a_moved_tag_is_reported_with_both_digests(
    connected: client.Engine, images: Any, workspace: Make
) -> None:
    first, digest = images.push("locked/moves:1")
    other, steady = images.push("locked/stays:1")
    root = workspace(e1=first, e2=other)
    file = root / "taorunner.lock"
    assert findings_of(connected, root) == [
        ("image-not-locked", "experiments.yml", 6, f'"{first}", which example_01/e1 needs, is not in taorunner.lock'),
        ("image-not-locked", "experiments.yml", 12, f'"{other}", which example_01/e2 needs, is not in taorunner.lock'),
    ]  # fmt: skip

    assert lock(connected, root) == [
        LockedImage(first, digest, None, Change.ADDED), LockedImage(other, steady, None, Change.ADDED),
    ]  # fmt: skip
    assert file.read_text() == lock_text({first: digest, other: steady})
    assert not list(root.glob(".taorunner.lock*"))
    assert [code for code, *_ in findings_of(connected, root)] == ["image-locked", "image-locked"]

    written = file.stat().st_mtime_ns
    assert {each.change for each in lock(connected, root)} == {Change.KEPT}
    assert file.stat().st_mtime_ns == written

    _, moved = images.push("locked/moves:1")
    assert moved != digest
    assert findings_of(connected, root) == [
        ("tag-moved", "taorunner.lock", 4, f'"{first}" moved from {digest} to {moved}'),
        ("image-locked", "taorunner.lock", 5, f'"{other}" is {steady}'),
    ]
    assert lock(connected, root)[0] == LockedImage(first, moved, digest, Change.MOVED)
    assert read_image_lock(Workspace(root)).digests == {first: moved, other: steady}


def test_an_unused_image_is_removed_only_by_a_whole_lock(
    connected: client.Engine, images: Any, workspace: Make
) -> None:
    reference, digest = images.push("locked/needed:1")
    root = workspace(e1=reference)
    old = "sha256:" + "0" * 64
    (root / "taorunner.lock").write_text(lock_text({"old:1": old}))
    lock(connected, root, whole=False)
    assert read_image_lock(Workspace(root)).digests == {"old:1": old, reference: digest}
    assert lock(connected, root)[1:] == [LockedImage("old:1", None, old, Change.REMOVED)]
    assert read_image_lock(Workspace(root)).digests == {reference: digest}


def test_an_image_that_no_registry_has(connected: client.Engine, images: Any, workspace: Make) -> None:
    here = images.build(f"{images.registry}/locked/only-here:1")
    good, _ = images.push("locked/good:1")
    root = workspace(e1=here, e2=f"{images.registry}/locked/nowhere:1", e3=good)
    with pytest.raises(UserFilesError) as caught:
        lock(connected, root)
    assert [(one.code, one.line) for one in caught.value.findings] == [
        ("image-only-here", 6), ("image-unknown", 12),
    ]  # fmt: skip
    assert not (root / "taorunner.lock").exists()


def test_a_registry_that_is_silent(connected: client.Engine, images: Any, workspace: Make) -> None:
    silent = "127.0.0.1:9/tao:1"
    root = workspace(e1=silent)
    with pytest.raises(EngineRefusedError) as caught:
        lock(connected, root)
    assert caught.value.message.startswith(f'the registry of "{silent}" cannot be reached')
    (root / "taorunner.lock").write_text(lock_text({silent: "sha256:" + "1" * 64}))
    assert [code for code, *_ in findings_of(connected, root)] == ["registry-silent"]


def test_what_the_engine_has_is_locked_where_the_registry_is_silent(
    connected: client.Engine, images: Any, workspace: Make, flaky_registry: Any
) -> None:
    reference, digest = images.push("locked/offline:1")
    shaky = reference.replace(images.registry, flaky_registry.address)
    images.docker("pull", "-q", shaky)
    flaky_registry.failures = 1000
    root = workspace(e1=shaky)
    (entry,) = lock(connected, root)
    assert (entry.digest, entry.change) == (digest, Change.ADDED)
    assert str(entry.note).endswith(": locked the engine's digest") and "503" in str(entry.note)
    images.forget(shaky)


def test_a_login_is_asked_for_and_used(
    connected: client.Engine, registry: Any, noop_image: str, workspace: Make, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    reference = registry.push(noop_image, "locked/private:1")
    root = workspace(e1=reference)
    with pytest.raises(MachineError) as caught:
        lock(connected, root)
    assert caught.value.message == f'the registry of "{reference}" requires a login'
    assert caught.value.hint == f"docker login {registry.address}"

    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))
    (entry,) = lock(client.connect(), root)
    assert entry.change is Change.ADDED
    assert registry.password not in (root / "taorunner.lock").read_text()


def test_a_credential_helper_is_asked(
    connected: client.Engine, registry: Any, noop_image: str, workspace: Make, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    reference = registry.push(noop_image, "locked/helped:1")
    root = workspace(e1=reference)
    helper = tmp_path / "bin" / "docker-credential-ours"
    helper.parent.mkdir()
    helper.write_text(
        f'#!/bin/sh\ncat >/dev/null\necho \'{{"Username": "{registry.user}", "Secret": "{registry.password}"}}\'\n'
    )
    helper.chmod(0o755)
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.json").write_text(f'{{"credHelpers": {{"{registry.address}": "ours"}}}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    (entry,) = lock(client.connect(), root)
    assert entry.change is Change.ADDED


A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_what_became_of_each_entry(scripted: ScriptedEngine, workspace: Make) -> None:
    root = workspace(e1="r.io/new:1", e2="r.io/moved:1", e3="r.io/kept:1", e4=f"r.io/pinned@{A}")
    (root / "taorunner.lock").write_text(lock_text({"r.io/moved:1": A, "r.io/kept:1": A, "r.io/old:1": A}))
    scripted.registry.update({"r.io/new:1": B, "r.io/moved:1": B, "r.io/kept:1": A})
    changed = lock(client.connect(), root, whole=False)
    kept = {"r.io/new:1": B, "r.io/moved:1": B, "r.io/kept:1": A}
    assert changed == [
        LockedImage("r.io/new:1", B, None, Change.ADDED), LockedImage("r.io/moved:1", B, A, Change.MOVED),
        LockedImage("r.io/kept:1", A, A, Change.KEPT),
    ]  # fmt: skip
    assert read_image_lock(Workspace(root)).digests == {**kept, "r.io/old:1": A}
    changed = lock(client.connect(), root)
    assert changed[-1] == LockedImage("r.io/old:1", None, A, Change.REMOVED)
    assert [one.change for one in changed[:-1]] == [Change.KEPT] * 3
    assert read_image_lock(Workspace(root)).digests == kept


def test_an_image_of_the_engine_that_differs_is_remarked(scripted: ScriptedEngine, workspace: Make) -> None:
    root = workspace(e1="r.io/same:1", e2="r.io/older:1", e3="r.io/built:1")
    scripted.registry.update(dict.fromkeys(("r.io/same:1", "r.io/older:1", "r.io/built:1"), A))
    scripted.images.update({
        "r.io/same:1": Image("sha256:1", A), "r.io/older:1": Image("sha256:2", B), "r.io/built:1": Image("sha256:3"),
    })  # fmt: skip
    will = "under this tag; runs will pull the locked one"
    assert [one.note for one in lock(client.connect(), root)] == [
        None, f"the engine has {B} {will}", f"the engine has an image built here {will}",
    ]  # fmt: skip


def test_a_silent_registry_is_an_error_unless_the_engine_knows_the_digest(
    scripted: ScriptedEngine, workspace: Make
) -> None:
    root = workspace(e1="r.io/a:1", e2="r.io/b:1")
    silent = "dial tcp 10.0.0.1:443: connect: connection refused"
    scripted.registry.update({"r.io/a:1": silent, "r.io/b:1": silent})
    with pytest.raises(EngineRefusedError) as caught:
        lock(client.connect(), root)
    assert caught.value.message == "nothing was locked: 2 of 2 images"
    assert [one.code for one in caught.value.findings] == ["registry-silent", "registry-silent"]
    assert caught.value.exit_code == EngineRefusedError("").exit_code
    scripted.images["r.io/a:1"] = Image("sha256:1", A)
    with pytest.raises(EngineRefusedError) as caught:
        lock(client.connect(), root)
    assert 'the registry of "r.io/b:1"' in caught.value.message
    assert not (root / "taorunner.lock").exists()
    scripted.images["r.io/b:1"] = Image("sha256:2")
    with pytest.raises(EngineRefusedError):
        lock(client.connect(), root)  # it was built here, so it has no digest
    scripted.images["r.io/b:1"] = Image("sha256:2", B)
    changed = lock(client.connect(), root)
    assert [one.digest for one in changed] == [A, B]
    assert all(one.note is not None and one.note.endswith(": locked the engine's digest") for one in changed)


def test_images_of_no_registry_are_named_and_nothing_is_locked(
    scripted: ScriptedEngine, workspace: Make
) -> None:
    root = workspace(e1="r.io/a:1", e2="r.io/b:1", e3="r.io/c:1")
    scripted.registry["r.io/c:1"] = A
    scripted.images["r.io/a:1"] = Image("sha256:1")
    with pytest.raises(UserFilesError) as caught:
        lock(client.connect(), root)
    assert [one.code for one in caught.value.findings] == ["image-only-here", "image-unknown"]
    assert not (root / "taorunner.lock").exists()


def test_each_image_is_compared_with_its_registry(scripted: ScriptedEngine, workspace: Make) -> None:
    names = ("same", "moved", "gone", "silent")
    root = workspace(**{name: f"r.io/{name}:1" for name in (*names, "new")}, pin=f"r.io/pinned@{A}")
    (root / "taorunner.lock").write_text(lock_text({f"r.io/{name}:1": A for name in names}))
    scripted.registry.update({"r.io/same:1": A, "r.io/moved:1": B, "r.io/silent:1": "i/o timeout"})
    found = needed(root)
    findings = check_lock(client.connect(), found.images, found.lock)
    assert [(one.code, one.is_error) for one in findings] == [
        ("image-locked", False), ("tag-moved", True), ("tag-gone", True), ("registry-silent", True),
        ("image-not-locked", True), ("image-pinned", False),
    ]  # fmt: skip
    assert ("GET", "/distribution/r.io/new:1/json", {}) not in scripted.calls  # it is not locked
