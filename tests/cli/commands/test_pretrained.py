"""``pretrained`` at a command line, against a server that plays NGC."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Cli, files_holding
from hub_server import hub_server
from ngc_server import FakeNgc, noise, slow

CONTENT = noise(2_000_000, 3)
DETECTNET = "nvidia/tao/pretrained_detectnet_v2"
KEY = "nvapi-new-2"


@pytest.fixture
def server() -> Iterator[FakeNgc]:
    models = {
        DETECTNET: {"resnet18": {"resnet18.hdf5": CONTENT}},
        "nvaie/lab/private": {"v1": {"a.pth": b"1"}},
    }
    with FakeNgc(models, private={"nvaie/lab/private"}) as ngc:
        yield ngc


@pytest.fixture
def person(cli: Cli, server: FakeNgc) -> Cli:
    """In a workspace with a project of detectnet_v2, which starts from weights."""
    assert cli("init-project", "p1", "--head", "detectnet_v2").code == 0
    return Cli(cli.home, server.environ)


def weights(cli: Cli) -> Path:
    return cli.home / "repositories" / "pretrained_detectnet_v2" / "pretrained_detectnet_v2_vresnet18"


def test_what_a_project_needs_is_pulled_and_pulled_once(person: Cli, server: FakeNgc) -> None:
    done = person("pretrained", "pull", "-p", "p1")
    assert (done.code, done.out) == (0, "")
    assert (weights(person) / "resnet18.hdf5").read_bytes() == CONTENT
    assert f"{DETECTNET}:resnet18 is in {weights(person)}" in done.err
    server.seen.clear()
    again = person("pretrained", "pull", "-p", "p1")
    assert (again.code, again.err.splitlines()[-1]) == (0, f"{DETECTNET}:resnet18 is in {weights(person)}")
    assert server.at("store") == []
    assert sorted(path.name for path in weights(person).parent.iterdir()) == [weights(person).name]
    assert "pretrained-missing" not in person("validate", "p1", "--json").out


def test_existing_files_are_compared_with_the_list(person: Cli, server: FakeNgc) -> None:
    person("pretrained", "pull", "-p", "p1")
    (weights(person) / "resnet18.hdf5").write_bytes(CONTENT[:1000])
    server.seen.clear()
    assert person("pretrained", "pull", "-p", "p1").code == 0
    assert (weights(person) / "resnet18.hdf5").read_bytes() == CONTENT
    assert len(server.at("store")) == 1


def test_offline_the_files_are_compared_with_their_record(person: Cli) -> None:
    away = {"TAORUNNER_NGC_URL": "http://127.0.0.1:9"}
    person("pretrained", "pull", "-p", "p1")
    good = person("pretrained", "pull", "-p", "p1", env=away)
    assert good.code == 0
    assert (
        f"{weights(person)} already present, as pulled; not compared with NGC: 127.0.0.1 cannot be"
        in good.err
    )
    offline = person("pretrained", "pull", "-p", "p1", "--offline", "--json")
    assert (offline.code, [row["fetched_bytes"] for row in offline.json]) == (0, [0])
    (weights(person) / "resnet18.hdf5").write_bytes(b"x" * len(CONTENT))
    for words, env in (((), away), (("--offline",), {})):
        bad = person("pretrained", "pull", "-p", "p1", *words, env=env)
        assert bad.code == 3
        assert 'differs from what was pulled: "resnet18.hdf5" has a different checksum' in bad.err


def test_offline_says_what_is_missing(person: Cli, server: FakeNgc) -> None:
    done = person("pretrained", "pull", "-p", "p1", "--offline")
    assert done.code == 3
    assert f'"{DETECTNET}:resnet18" is not in {weights(person).relative_to(person.home)}' in done.err
    assert "copy it with --from DIR" in done.err
    assert server.seen == []
    assert not weights(person).parent.exists()


def test_what_a_person_put_there_is_never_replaced(person: Cli, server: FakeNgc) -> None:
    weights(person).mkdir(parents=True)
    (weights(person) / "resnet18.hdf5").write_bytes(b"mine")
    done = person("pretrained", "pull", "-p", "p1")
    assert done.code == 0
    assert (
        'was not pulled by taorunner: "resnet18.hdf5" has 4 B (4 bytes), not 1.9 MiB (2000000 bytes)'
        in done.err
    )
    assert [path.read_bytes() for path in weights(person).iterdir()] == [b"mine"]
    assert server.at("store") == []


def test_json_is_alone_on_stdout(person: Cli) -> None:
    done = person("pretrained", "pull", f"{DETECTNET}:resnet18", "--json")
    assert (done.code, done.err) == (0, "")
    [row] = done.json
    assert (row["model"], row["folder"], row["fetched_bytes"]) == (
        f"{DETECTNET}:resnet18", str(weights(person)), len(CONTENT),
    )  # fmt: skip
    assert [(file["path"], file["size"]) for file in row["files"]] == [("resnet18.hdf5", len(CONTENT))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_end_in_the_middle_leaves_what_the_next_pull_goes_on_with(
    person: Cli, server: FakeNgc, number: signal.Signals
) -> None:
    server.store_faults = [slow(0.2)]
    process = person.start("pretrained", "pull", "-p", "p1")
    part = weights(person).parent / f".{weights(person).name}.partial" / "resnet18.hdf5.part"
    deadline = time.monotonic() + 100
    while not (part.exists() and part.stat().st_size > 200_000):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    said = "interrupted: the same command continues from here"
    if number == signal.SIGINT:
        assert (process.returncode, err.decode().splitlines()[-1]) == (130, said)
    else:
        assert process.returncode == -number
    assert not weights(person).exists()
    have = part.stat().st_size
    server.seen.clear()
    assert person("pretrained", "pull", "-p", "p1").code == 0
    assert (weights(person) / "resnet18.hdf5").read_bytes() == CONTENT
    assert [seen.headers["range"] for seen in server.at("store")] == [f"bytes={have}-"]
    assert [path.name for path in weights(person).parent.iterdir()] == [weights(person).name]


def test_the_key_is_used_and_kept_nowhere(person: Cli, server: FakeNgc) -> None:
    pulled = person("pretrained", "pull", "nvaie/lab/private:v1", env={"NGC_API_KEY": KEY})
    assert pulled.code == 0
    wrong = "nvapi-not-mine"
    refused = person("pretrained", "pull", "nvaie/lab/private:v2", "--json", env={"NGC_API_KEY": wrong})
    assert refused.code == 4
    assert 'NGC denies your API key access to "nvaie/lab/private:v2" (401)' in refused.err
    assert [
        text for text in (KEY, wrong) if text in pulled.out + pulled.err + refused.out + refused.err
    ] == []
    assert files_holding(person.home, KEY) + files_holding(person.home, wrong) == []


def test_on_a_terminal_the_key_is_asked_without_echo(person: Cli, server: FakeNgc) -> None:
    ours, theirs = pty.openpty()
    process = person.start(
        "pretrained", "pull", "nvaie/lab/private:v1", stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while b"not stored): " not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, KEY.encode() + b"\n")
    try:
        while more := os.read(ours, 4096):
            shown += more
    except OSError:
        pass
    os.close(ours)
    assert process.wait(120) == 0, shown.decode()
    assert KEY.encode() not in shown
    assert (person.home / "repositories/private/private_vv1/a.pth").read_bytes() == b"1"


def test_weights_are_copied_where_no_network_is(person: Cli, server: FakeNgc, tmp_path: Path) -> None:
    there = tmp_path / "stick" / "pretrained_detectnet_v2_vresnet18"
    there.mkdir(parents=True)
    (there / "resnet18.hdf5").write_bytes(CONTENT)
    done = person("pretrained", "pull", "-p", "p1", "--from", tmp_path / "stick")
    assert done.code == 0, done.err
    assert (weights(person) / "resnet18.hdf5").read_bytes() == CONTENT
    assert server.seen == []


def test_the_list_of_a_network_says_which_key_takes_the_weights(person: Cli, server: FakeNgc) -> None:
    keys = {row["model"]: row["key"] for row in person("pretrained", "list", "dino", "--json").json}
    assert (
        keys["nvidia/tao/pretrained_dino_coco:dino_fan_small_trainable_v1.0"] == "train.pretrained_model_path"
    )
    assert keys["nvidia/tao/pretrained_dino_nvimagenet:resnet50"] == "model.pretrained_backbone_path"
    (ssd,) = [
        row
        for row in person("pretrained", "list", "ssd", "--json").json
        if row["model"].endswith(":resnet18")
    ]
    assert ssd["key"] == "-m"
    none = person("pretrained", "list", "mae")
    assert none.code == 3
    assert none.err == (
        'error: no weights that "mae" starts from are known\n'
        "hint: without weights: pretrain starts at random; finetune from its own pretrain\n"
    )
    assert server.seen == []


def test_lists_with_and_without_a_network(person: Cli, server: FakeNgc) -> None:
    assert [row["model"] for row in person("pretrained", "list", "detectnet_v2", "--json").json] == [
        "nvidia/tao/facenet:unpruned_v2.0",
        f"{DETECTNET}:resnet18",
    ]
    assert [row["model"] for row in person("pretrained", "list", DETECTNET, "--offline", "--json").json] == [
        f"{DETECTNET}:resnet18"
    ]
    assert server.seen == []
    assert person("pretrained", "list", DETECTNET, "--json").json == [
        {
            "version": "resnet18",
            "size": len(CONTENT),
            "files": 1,
            "created": "2024-05-06T07:08:09Z",
            "complete": True,
        }
    ]
    files = person("pretrained", "list", f"{DETECTNET}:resnet18").out.splitlines()
    assert files[1].split()[:3] == ["resnet18.hdf5", "1.9", "MiB"]


def test_wrong_names_are_reported_all_at_once(person: Cli) -> None:
    done = person(
        "pretrained", "pull", f"{DETECTNET}:resnet19", "nvidia/tao/pretrained_detectnet_v3:resnet18"
    )
    assert done.code == 3
    assert f'"{DETECTNET}" has no version "resnet19"' in done.err
    assert 'did you mean "resnet18"?' in done.err
    assert 'NGC has no model "nvidia/tao/pretrained_detectnet_v3"' in done.err
    assert person("pretrained", "pull", "detectnet_v2").code == 2
    assert person("pretrained", "pull", DETECTNET).code == 2


def test_without_a_network_a_list_needs_no_http_library(person: Cli) -> None:
    code = "import sys; from taorunner.cli.app import run; run(['pretrained', 'list', '--json']); print('httpx' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=person.environment(), capture_output=True, text=True, check=True
    )
    assert done.stderr == "False\n"


def test_a_project_that_starts_from_hugging_face_pulls_its_weights(cli: Cli, tmp_path: Path) -> None:
    assert cli("init-project", "big", "--head", "codetr").code == 0
    folder = cli.home / "repositories/co-detr-vit-large-coco/co-detr-vit-large-coco_vmain"
    assert "pretrained-missing" in cli("validate", "big", "--json").out
    seen: list[str] = []
    files = {"pytorch_model.pth": CONTENT, "README.md": b"# read me"}
    with hub_server("zongzhuofan/co-detr-vit-large-coco", files, seen) as environ:
        env = {**environ, "HF_HOME": str(tmp_path / "hf")}
        done = cli("pretrained", "pull", "-p", "big", env=env)
        assert (done.code, (folder / "pytorch_model.pth").read_bytes()) == (0, CONTENT), done.err
        seen.clear()
        assert (cli("pretrained", "pull", "-p", "big", env=env).code, seen) == (0, [])
    assert "pretrained-missing" not in cli("validate", "big", "--json").out
    spec = cli.home / "projects/big/specs/codetr_01/train.yaml"
    filled = spec.read_text().replace("num_classes: $FILL_IN", "num_classes: 2")
    spec.write_text(filled.replace("color_map: $FILL_IN", "color_map: {car: green}"))
    planned = cli("-p", "big", "specs", "show", "codetr_01", "train")
    inside = f"/workspace/repositories/{folder.parent.name}/{folder.name}/pytorch_model.pth"
    assert f"pretrained_model_path: {inside}" in planned.out


def test_weights_that_only_their_pull_knows_are_checked_by_it(cli: Cli, tmp_path: Path) -> None:
    """The list has no such model; the folder says where it is from."""
    assert cli("init-project", "own", "--head", "codetr").code == 0
    experiments = cli.home / "projects/own/experiments.yml"
    experiments.write_text(experiments.read_text().replace("co-detr-vit-large-coco", "mine"))
    with hub_server("me/mine", {"mine.pth": CONTENT}) as environ:
        env = {**environ, "HF_HOME": str(tmp_path / "hf")}
        assert cli("pretrained", "pull", "hf://me/mine", env=env).code == 0
        done = cli("pretrained", "pull", "-p", "own", "--json", env=env)
    assert [row["model"] for row in done.json] == ["hf://me/mine@main"]
