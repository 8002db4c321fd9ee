"""Pulls with layers and totals, several at a time, again after a broken connection, and only where there is room."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import private_daemon
import pytest
from registries import QUICK, Seen
from scripted_engine import Image, ScriptedEngine

import rig
from taorunner.engine import client
from taorunner.engine.images import LayerState, PullState, find_image
from taorunner.engine.registry import UnknownSizeError, read_manifest
from taorunner.errors import EngineRefusedError, MachineError, TaorunnerError
from taorunner.images.pull import pull_images
from taorunner.images.space import look_for_room


def test_layers_and_totals_of_two_images_at_a_time(connected: client.Engine, images: Any) -> None:
    pushed = [images.push(f"pulled/two-{name}:1", layers=3, kilobytes=1024) for name in "ab"]
    watcher = Seen()
    done = pull_images(connected, [name for name, _ in pushed], watcher, parallel=2)
    assert [(each.reference, each.image.digest, each.is_new) for each in done] == [
        (name, digest, True) for name, digest in pushed
    ]
    assert sorted(watcher.begun) == sorted(watcher.ended) == sorted(name for name, _ in pushed)
    assert watcher.messages == []
    for name, _ in pushed:
        last = watcher.states[name][-1]
        assert (last.layers_done, last.layers) == (4, 4)
        assert watcher.begun[name] == last.bytes_total == last.bytes_done
        assert last.bytes_total is not None and last.bytes_total > 3 * 1024 * 1024
        layers = watcher.layers[name][-1]
        assert sorted(layer.step for layer in layers) == ["done", "done", "done", "there"]
        assert sum(layer.bytes_done for layer in layers) == last.bytes_total
    again = pull_images(connected, [pushed[0][0]], Seen())
    assert [each.is_new for each in again] == [False]


def test_a_pull_by_digest(connected: client.Engine, images: Any) -> None:
    reference, digest = images.push("pulled/by-digest:1")
    pinned = f"{reference.rpartition(':')[0]}@{digest}"
    (done,) = pull_images(connected, [pinned], Seen())
    assert done.image.digest == digest
    assert find_image(connected, reference) is None
    images.forget(pinned)


def test_failures_are_reported_together_after_the_good_ones_are_here(
    connected: client.Engine, images: Any
) -> None:
    good, _ = images.push("pulled/good:1")
    nope = f"{images.registry}/pulled/nope:1"
    with pytest.raises(TaorunnerError) as caught:
        pull_images(connected, [nope, good, "127.0.0.1:9/x:1"], Seen(), parallel=1)
    assert caught.value.message == "2 of 3 images could not be pulled"
    assert [one.message for one in caught.value.findings] == [
        f'the image "{nope}" does not exist',
        'the registry of "127.0.0.1:9/x:1" cannot be reached: dial tcp 127.0.0.1:9: connect: connection refused',
    ]
    assert find_image(connected, good) is not None


def test_a_connection_that_breaks_is_tried_again(
    connected: client.Engine, images: Any, flaky_registry: Any
) -> None:
    reference, digest = images.push("pulled/flaky:1")
    shaky = reference.replace(images.registry, flaky_registry.address)
    flaky_registry.failures = 3  # one is for the look at its size, two for pulls
    watcher = Seen()
    (done,) = pull_images(connected, [shaky], watcher, patience=QUICK)
    assert done.image.digest == digest
    assert flaky_registry.failures == 0
    messages = [text for text in watcher.messages if "trying again" in text]
    assert messages and all(text.startswith(f"{shaky}: ") and "503" in text for text in messages)
    images.forget(shaky)


def test_after_so_many_tries_it_is_reported(
    connected: client.Engine, images: Any, flaky_registry: Any
) -> None:
    reference, _ = images.push("pulled/flakier:1")
    shaky = reference.replace(images.registry, flaky_registry.address)
    flaky_registry.failures = 1000
    watcher = Seen()
    with pytest.raises(
        EngineRefusedError, match=r'connection to the registry of ".*" broke off: .*503'
    ) as caught:
        pull_images(connected, [shaky], watcher, patience=QUICK)
    assert caught.value.hint == "try again: the engine keeps the layers that are complete"
    assert sum("trying again" in text for text in watcher.messages) == QUICK.tries - 1


def test_an_engine_that_is_restarted_meanwhile(
    own_engine: rig.Engine, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, digest = images.push("pulled/restarted:1", layers=2, kilobytes=30 * 1024)
    for name, value in own_engine.environment().items():
        monkeypatch.setenv(name, value)

    class Restarting(Seen):
        restarted = False

        def advanced(self, image: str, state: PullState, layers: Sequence[LayerState]) -> None:
            if not self.restarted and state.bytes_done and state.layers_done < state.layers:
                self.restarted = True
                rig.restart(own_engine.home)
            super().advanced(image, state, layers)

    watcher = Restarting()
    (done,) = pull_images(client.connect(), [reference], watcher, patience=QUICK)
    assert done.image.digest == digest
    assert [text.split("; ")[1] for text in watcher.messages] == ["trying again in 0s"]


def test_sizes_with_and_without_a_login(
    connected: client.Engine, registry: Any, images: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, _ = images.push("pulled/sizes:1", layers=2, kilobytes=100)
    layers = read_manifest(connected, reference, "x86_64")
    assert [layer.size_bytes // 1024 for layer in layers[-2:]] == [100, 100]
    assert all(layer.unpacked for layer in layers)

    local = images.build("pulled/private:1", layers=1, kilobytes=100)
    private = registry.push(local, "pulled/private:1")
    with pytest.raises(UnknownSizeError, match="requires a login"):
        read_manifest(connected, private, "x86_64")
    monkeypatch.setenv("DOCKER_CONFIG", str(registry.credentials(tmp_path / "config")))
    assert read_manifest(client.connect(), private, "x86_64")[-1].size_bytes // 1024 == 100
    with pytest.raises(UnknownSizeError, match=r"127\.0\.0\.1:9 cannot be reached from here"):
        read_manifest(connected, "127.0.0.1:9/x:1", "x86_64")


def test_layers_that_are_there_need_no_room(connected: client.Engine, images: Any) -> None:
    below = images.build("pulled/below:1", layers=1, kilobytes=500)
    above, _ = images.push("pulled/above:1", layers=1, kilobytes=100, below=below)
    room = look_for_room(connected, [above])
    assert room.download_bytes[above] // 1024 == 100
    assert room.free_bytes is not None and not room.is_too_small


@pytest.fixture
def small_engine(tmp_path: Path) -> Iterator[rig.Engine]:
    """An engine with a disk of 64 MB."""
    home = Path(f"/tmp/taor-{secrets.token_hex(4)}")
    disk = tmp_path / "disk.img"
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True)
    try:
        engine = rig.up(home, os.getpid())
        place = home / "small"  # the mount goes with the engine's folder
        place.mkdir()
        if subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=False).returncode:
            pytest.skip("no loop devices here")
        config = home / "daemon.json"
        config.write_text(config.read_text().replace(str(home / "data"), str(place)))
        rig.restart(home)
        yield engine
    except private_daemon.RigError as error:
        pytest.skip(str(error))
    finally:
        rig.down(home)


def test_a_disk_that_is_too_small(
    small_engine: rig.Engine, images: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, _ = images.push("pulled/large:1", layers=2, kilobytes=12 * 1024)
    for name, value in small_engine.environment().items():
        monkeypatch.setenv(name, value)
    engine = client.connect()
    with pytest.raises(MachineError) as caught:
        pull_images(engine, [reference], Seen())
    assert caught.value.message.startswith(f'"{reference}" needs about 7')
    assert str(caught.value.hint).endswith("or pull anyway with --force")
    assert find_image(engine, reference) is None
    watcher = Seen()
    (done,) = pull_images(engine, [reference], watcher, force=True)
    assert done.is_new
    assert [text.endswith("; pulling anyway") for text in watcher.messages] == [True]


ONE = Image("sha256:one", "sha256:" + "1" * 64)
DONE = {"id": "a", "status": "Pull complete"}


def test_a_pull_that_the_engine_ended_early_is_tried_again(scripted: ScriptedEngine) -> None:
    scripted.pulls["127.0.0.1:9/a:1"] = [([], None), ([DONE], ONE)]
    watcher = Seen()
    (done,) = pull_images(client.connect(), ["127.0.0.1:9/a:1"], watcher, patience=QUICK)
    assert (done.image.id, done.image.digest, done.is_new) == (ONE.id, ONE.digest, True)
    assert watcher.ended == ["127.0.0.1:9/a:1"]
    unknown, again = watcher.messages
    assert unknown.startswith("127.0.0.1:9/a:1: unknown size, so its disk space is not checked: ")
    assert "before it was complete; trying again in " in again


@pytest.mark.parametrize(("before", "is_new"), [(ONE, False), (Image("sha256:old"), True)])
def test_only_an_image_that_was_not_here_is_new(
    scripted: ScriptedEngine, before: Image, is_new: bool
) -> None:
    scripted.images["127.0.0.1:9/a:1"] = before
    scripted.pulls["127.0.0.1:9/a:1"] = [([DONE], ONE)]
    (done,) = pull_images(client.connect(), ["127.0.0.1:9/a:1"] * 2, Seen())
    assert done.is_new is is_new
    assert done.to_json()["new"] is is_new


def test_one_failure_is_raised_itself_and_several_as_one(scripted: ScriptedEngine) -> None:
    scripted.pulls["127.0.0.1:9/a:1"] = [([DONE], ONE)]
    watcher = Seen()
    with pytest.raises(EngineRefusedError) as caught:
        pull_images(client.connect(), ["127.0.0.1:9/b:1", "127.0.0.1:9/a:1"], watcher, parallel=1)
    assert caught.value.message == 'the image "127.0.0.1:9/b:1" does not exist'
    assert sorted(watcher.ended) == ["127.0.0.1:9/a:1", "127.0.0.1:9/b:1"]
    with pytest.raises(MachineError) as several:
        pull_images(client.connect(), ["127.0.0.1:9/c:1", "127.0.0.1:9/b:1"], Seen())
    assert several.value.message == "2 of 2 images could not be pulled"
    assert [one.message for one in several.value.findings] == [
        'the image "127.0.0.1:9/c:1" does not exist', 'the image "127.0.0.1:9/b:1" does not exist',
    ]  # fmt: skip
    assert several.value.exit_code == caught.value.exit_code


def test_a_stopped_pull_is_an_error(scripted: ScriptedEngine) -> None:
    scripted.pulls["127.0.0.1:9/a:1"] = [([DONE], None)]
    patience = replace(QUICK, stop=threading.Event())

    class Stopping(Seen):
        def begins(self, image: str, total_bytes: int | None) -> None:
            super().begins(image, total_bytes)
            patience.stop.set()

    watcher = Stopping()
    with pytest.raises(EngineRefusedError, match=r'the pull of "127.0.0.1:9/a:1" was ended'):
        pull_images(client.connect(), ["127.0.0.1:9/a:1"], watcher, patience=patience)
    assert not [text for text in watcher.messages if "trying again" in text]


@pytest.fixture
def layered_registry() -> Iterator[str]:
    """Its images have a layer of 5 bytes and one of a terabyte, but ``small`` has the first only."""

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            return

        def do_GET(self) -> None:
            layers = [{"digest": "sha256:a", "size": 5}, {"digest": "sha256:b", "size": 10**15}]
            layers = layers[:1] if "/small/" in self.path else layers
            body: dict[str, Any] = {"layers": layers, "config": {"digest": "sha256:c"}}
            if "/blobs/" in self.path:
                body = {"rootfs": {"diff_ids": [f"un:{one['digest']}" for one in layers]}}
            data = json.dumps(body).encode()
            self.send_response(404 if "/gone/" in self.path else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_pull_needs_room_unless_it_is_forced(scripted: ScriptedEngine, layered_registry: str) -> None:
    name = f"{layered_registry}/big:1"
    scripted.pulls[name] = [([DONE], ONE)]
    with pytest.raises(MachineError) as caught:
        pull_images(client.connect(), [name], Seen())
    assert caught.value.message.startswith(f'"{name}" needs about ')
    with pytest.raises(MachineError, match="the 2 images need about "):
        pull_images(client.connect(), [name, f"{layered_registry}/other:1"], Seen())
    assert ONE not in scripted.images.values()
    watcher = Seen()
    pull_images(client.connect(), [name], watcher, force=True)
    assert [text.endswith("; pulling anyway") for text in watcher.messages] == [True]
    assert watcher.begun == {name: 10**15 + 5}


def test_only_layers_that_are_not_here_are_counted_and_each_once(
    scripted: ScriptedEngine, layered_registry: str
) -> None:
    big, small, gone = (f"{layered_registry}/{name}:1" for name in ("big", "small", "gone"))
    room = look_for_room(client.connect(), [small, big, gone])
    assert (room.download_bytes, room.unknown) == ({small: 5, big: 10**15}, {})
    assert room.needed_bytes == 3 * (10**15 + 5)
    scripted.images["here:1"] = Image("sha256:here", layers=("un:sha256:a",))
    assert look_for_room(client.connect(), [small, big]).download_bytes == {small: 0, big: 10**15}


def test_space_of_an_engine_whose_disk_is_not_seen_is_not_checked(
    scripted: ScriptedEngine, layered_registry: str
) -> None:
    scripted.info["DockerRootDir"] = "/nowhere/docker"
    name = f"{layered_registry}/big:1"
    scripted.pulls[name] = [([DONE], ONE)]
    watcher = Seen()
    pull_images(client.connect(), [name], watcher)
    (text,) = watcher.messages
    assert text.startswith("disk space for about ") and text.endswith(
        "/nowhere/docker cannot be read from here"
    )


def test_nothing_is_said_of_the_space_for_layers_that_are_there(
    scripted: ScriptedEngine, layered_registry: str
) -> None:
    scripted.info["DockerRootDir"] = "/nowhere/docker"
    scripted.images["here:1"] = Image("sha256:here", layers=("un:sha256:a",))
    name = f"{layered_registry}/small:1"
    scripted.pulls[name] = [([DONE], ONE)]
    watcher = Seen()
    pull_images(client.connect(), [name], watcher)
    assert watcher.messages == []
