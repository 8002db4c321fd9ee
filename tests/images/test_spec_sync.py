"""``networks sync`` on a real engine: an image of TAO's shape is asked, and what it says is what its specs may hold."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from base_image import Tree, import_tree
from broken_attach import broken_attach
from command_line import Cli, wait_for
from images import digest, has_image
from scripted_engine import Container, Image, ScriptedEngine, frame
from tao_packages import CORE

from taorunner.engine.client import connect
from taorunner.errors import MachineError, TaorunnerError
from taorunner.images.spec_sync import sync_image, sync_images
from taorunner.specs.extract.in_image import MARK
from taorunner.specs.schema.image_schemas import KeptSchemas

PACKAGES = "opt/tao/packages"
BANNER = "#!/bin/sh\necho '=== TAO Toolkit, stand-in ==='\nexec \"$@\"\n"
EXPERIMENTS = "experiments:\n  e: {{head: dino, dataset: d, release: 7.1.0, image: '{image}'}}\n"


def python_image(engine: Any, name: str, texts: dict[str, str]) -> str:
    tag = f"taorunner-test/{name}:{digest(json.dumps(texts))}"
    with engine.locked(name):
        if not has_image(engine, tag):
            tree = Tree(texts={f"{PACKAGES}/{path}": text for path, text in texts.items()})
            tree.texts["opt/entry.sh"] = BANNER
            tree.add_busybox()
            tree.add_python()
            environment = {
                "PATH": "/opt/py/bin:/usr/bin:/bin",
                "PYTHONHOME": "/opt/py",
                "PYTHONPATH": f"/{PACKAGES}",
                "LD_LIBRARY_PATH": "/usr/lib",
            }
            import_tree(engine, tree, tag, environment, ['ENTRYPOINT ["/opt/entry.sh"]'])
    return tag


@pytest.fixture(scope="session")
def specs_image(engine: Any) -> str:
    return python_image(engine, "specs", CORE)


@pytest.fixture
def sync_cli(tmp_path: Path, engine: Any) -> Cli:
    home = tmp_path / "home"
    home.mkdir()
    return Cli(home, engine.environment())


@pytest.fixture
def own_specs_image(specs_image: str, own_tag: Callable[[str], str]) -> str:
    return own_tag(specs_image)


def containers_of(engine: Any, image: str) -> list[str]:
    return list(engine.docker("ps", "-aq", "--filter", f"label=com.taorunner.specs={image}").stdout.split())


def test_an_image_is_asked_and_its_specs_are_held_against_what_it_said(
    sync_cli: Cli, engine: Any, own_specs_image: str, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory(
        EXPERIMENTS.format(image=own_specs_image),
        specs={"e/train.yaml": "train: {seed: 3}\n"},
        data={"d/": ""},
    )
    assert sync_cli("validate", "--json", cwd=root).json == []
    done = sync_cli("networks", "sync", own_specs_image, "--json", cwd=root)
    assert done.code == 0, done.err
    image_id = engine.docker("image", "inspect", "--format", "{{.Id}}", own_specs_image).stdout.strip()
    assert done.json == [
        {
            "image": own_specs_image, "image_id": image_id, "digest": None, "packages": {"nvidia_tao_core": "9.9.1"},
            "schemas": ["dino", "dino.convert"],
            "not_read": {
                "broken": "RuntimeError: no licence",
                "empty": "none of ExperimentConfig, CLIPExperimentConfig, VLLMCaptionInferenceExpConfig is in "
                "empty.default_config",
            },
        }
    ]  # fmt: skip
    (finding,) = sync_cli("validate", "--json", cwd=root).json
    tag = own_specs_image.rpartition("/")[2]
    assert finding["message"] == f'the section train of "dino" has no key "seed" in the image {tag}'
    assert (finding["line"], finding["column"]) == (1, 9)
    output = sync_cli("specs", "explain", "train.num_epochs", "-e", "e", cwd=root).out
    assert output.startswith("train.num_epochs  int  dino 7.1.0, train\n  default      12\n")
    assert (
        "  not read     broken: RuntimeError: no licence\n"
        in sync_cli("networks", "sync", own_specs_image, cwd=root).out
    )
    assert containers_of(engine, own_specs_image) == []


def test_an_image_that_is_not_there_is_not_pulled(
    sync_cli: Cli, specs_image: str, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory("experiments: {}\n")
    done = sync_cli("networks", "sync", "taorunner-test/none:1", specs_image, cwd=root)
    assert done.code == 4
    assert "  kept         2: dino, dino.convert\n" in done.out
    assert done.err == (
        'error: the image "taorunner-test/none:1" is not on the engine\n'
        "hint: taorunner image pull taorunner-test/none:1, or docker pull taorunner-test/none:1\n"
    )


def test_an_image_without_tao_or_without_python_is_reported(
    sync_cli: Cli,
    engine: Any,
    noop_image: str,
    own_tag: Callable[[str], str],
    workspace_factory: Callable[..., Path],
) -> None:
    root = workspace_factory("experiments: {}\n")
    empty, other = own_tag(python_image(engine, "no-specs", {"other.py": ""})), own_tag(noop_image)
    done = sync_cli("networks", "sync", empty, other, cwd=root)
    assert done.code == 4
    assert f'the image "{empty}" has no TAO spec schemas' in done.err
    assert "2 images could not be read" in done.err
    assert "python3" in done.err
    assert "Traceback" not in done.err
    assert not (root / ".taorunner" / "cache" / "spec-schemas").exists()
    assert [*containers_of(engine, empty), *containers_of(engine, other)] == []


def test_the_container_has_the_callers_rights_and_nothing_else(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = (
        "import os, sys\n"
        "interfaces = sorted(os.listdir('/sys/class/net'))\n"
        "raise RuntimeError((os.getuid(), os.getgid(), interfaces, os.environ['NVIDIA_VISIBLE_DEVICES']))\n"
    )
    image = python_image(engine, "spy", {"nvidia_tao_core/config/dino/default_config.py": spy})
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MachineError) as caught:
        sync_image(connect(), image, KeptSchemas(tmp_path), "1234:4321")
    assert str(caught.value.hint).startswith("dino: RuntimeError: (1234, 4321, ['lo'], 'void');")


def test_an_image_that_does_not_answer_is_left_after_a_while(
    engine: Any, own_tag: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"nvidia_tao_core/config/dino/default_config.py": "import time\ntime.sleep(90)\n"}
    slow = own_tag(python_image(engine, "slow", texts))
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(MachineError, match="did not answer within 2 seconds"):
        sync_image(connect(), slow, KeptSchemas(tmp_path), "1234:4321", timeout_s=2)
    assert containers_of(engine, slow) == []


def test_an_answer_is_read_whole_when_the_connection_breaks(
    engine: Any, own_specs_image: str, tmp_path: Path
) -> None:
    (tmp_path / "kept").mkdir()
    with broken_attach(engine.url, tmp_path) as address:
        broken = connect({"DOCKER_HOST": address})
        try:
            synced = sync_image(broken, own_specs_image, KeptSchemas(tmp_path / "kept"), "1234:4321")
        finally:
            broken.api.close()
    assert synced.schemas == ("dino", "dino.convert")
    assert containers_of(engine, own_specs_image) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_removes_the_container(
    sync_cli: Cli, engine: Any, own_tag: Callable[[str], str], workspace_factory: Callable[..., Path],
    number: signal.Signals,
) -> None:  # fmt: skip
    root = workspace_factory("experiments: {}\n")
    slow = python_image(
        engine, "slow", {"nvidia_tao_core/config/dino/default_config.py": "import time\ntime.sleep(90)\n"}
    )
    image = own_tag(slow)
    process = sync_cli.start("networks", "sync", image, cwd=root)
    running = ("ps", "-q", "--filter", f"label=com.taorunner.specs={image}", "--filter", "status=running")
    wait_for(lambda: engine.docker(*running).stdout != "")
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert containers_of(engine, image) == []


def test_a_name_that_an_image_prints_is_no_path(
    engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    answer = json.dumps(
        {"yaml": {"../../precious": {"a": {"type": "int"}}}, "prototxt": {}, "failed": {}, "packages": {}}
    )
    line = f"\n{MARK}{answer}\n"
    program = f"import os, sys\nsys.stdout.write({line!r})\nsys.stdout.flush()\nos._exit(0)\n"
    image = python_image(engine, "hostile", {"nvidia_tao_core/config/dino/default_config.py": program})
    precious = tmp_path / "precious.json"
    precious.write_text("mine")
    with pytest.raises(TaorunnerError, match="could not read its own specs"):
        sync_image(connect(), image, KeptSchemas(tmp_path / "kept"), "1234:4321")
    assert precious.read_text() == "mine"
    assert not (tmp_path / "kept").exists()


ANSWER = {"yaml": {"dino": {}}, "prototxt": {}, "failed": {}, "packages": {"nvidia_tao_core": "7.0"}}


def synced(scripted: ScriptedEngine, tmp_path: Path, says: bytes, **fields: Any) -> Any:
    """What is read from an image that prints this; its container is gone afterwards."""
    scripted.images["tao:1"] = Image("sha256:t")
    scripted.template = Container(says=says, **fields)
    try:
        return sync_image(connect(), "tao:1", KeptSchemas(tmp_path), "1234:4321", timeout_s=0.5)
    finally:
        assert scripted.containers == {}


def answer(**changed: Any) -> bytes:
    return frame("stdout", f"a banner\n{MARK}{json.dumps({**ANSWER, **changed})}\n".encode())


def test_what_an_image_prints_is_kept(scripted: ScriptedEngine, tmp_path: Path) -> None:
    found = synced(scripted, tmp_path, answer())
    assert (found.schemas, found.image_id, found.packages) == (
        ("dino",),
        "sha256:t",
        {"nvidia_tao_core": "7.0"},
    )
    (made,) = scripted.created
    assert (made.body["User"], made.body["HostConfig"]["NetworkMode"]) == ("1234:4321", "none")
    assert synced(scripted, tmp_path, answer(yaml={}, prototxt={"ssd": {}})).schemas == ("ssd",)


@pytest.mark.parametrize(
    ("says", "message", "hint"),
    [
        (answer(yaml={}, packages={}), "has no TAO spec schemas", "use a TAO image: taorunner networks NAME lists those of a network"),
        (answer(yaml={}, failed={"dino": "RuntimeError"}), "has no TAO spec schemas that can be read, although it has nvidia_tao_core", "dino: RuntimeError"),
        (frame("stdout", b"out\n") + frame("stderr", b"first\nlast\n"), "could not read its own specs", "last"),
        (frame("stdout", b"out\n"), "could not read its own specs", "out"),
        (b"", "could not read its own specs", "it printed no message"),
    ],
)  # fmt: skip
def test_an_image_whose_answer_is_none_is_reported(
    scripted: ScriptedEngine, tmp_path: Path, says: bytes, message: str, hint: str
) -> None:
    with pytest.raises(TaorunnerError) as caught:
        synced(scripted, tmp_path, says)
    assert caught.value.message == f'the image "tao:1" {message}'
    assert caught.value.hint == hint


def test_an_image_that_goes_on_is_stopped(scripted: ScriptedEngine, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"did not answer within 0.5 seconds"):
        synced(scripted, tmp_path, answer(), stays=True)
    assert [change for change in scripted.changes if change.endswith("/stop")]


def test_one_image_that_cannot_be_read_does_not_stop_the_next(
    scripted: ScriptedEngine, tmp_path: Path
) -> None:
    scripted.images["tao:1"] = Image("sha256:t")
    for names, schemas, message in (
        (["tao:1"], 1, None),
        (["no:1", "tao:1"], 1, 'the image "no:1" is not on the engine'),
        (["no:1", "tao:1", "no:2"], 1, "2 images could not be read"),
    ):
        scripted.template = Container(says=answer())
        found, error = sync_images(connect(), names, KeptSchemas(tmp_path), "1:1")
        assert (len(found), error and error.message) == (schemas, message)
