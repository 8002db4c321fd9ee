"""A forked command is to its caller what a started one is."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from command_line import PROGRAM, Cli, Done
from forked import read_all, server_of, serves


@pytest.fixture
def workspace(cli: Cli, tmp_path: Path) -> Path:
    made = cli("init-project", "parts", "--head", "rtdetr", "--workspace", tmp_path / "ws", cwd=tmp_path)
    assert made.code == 0, made.err
    return tmp_path / "ws"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["networks", "rtdetr", "--json"], 0),
        (["validate"], 3),
        (["validate", "--json"], 3),
        (["ps"], 0),
        (["train", "--help"], 0),
        (["train", "rtdetr_01", "--dry-run"], 3),
        (["train", "nobody"], 2),
        (["nonsense"], 2),
    ],
)
def test_code_and_output_are_those_of_a_start(cli: Cli, workspace: Path, words: list[str], code: int) -> None:
    forked, started = cli(*words, cwd=workspace), cli(*words, cwd=workspace, program=PROGRAM)
    assert forked == started
    assert forked.code == code, forked.err


def test_it_has_the_environment_folder_and_umask_that_were_asked_for(cli: Cli, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    before = os.umask(0o027)
    try:
        made = cli("init-project", "one", "--head", "rtdetr", "--workspace", "ws", cwd=inside)
    finally:
        os.umask(before)
    assert made.code == 0, made.err
    assert (inside / "ws").stat().st_mode & 0o777 == 0o750
    asked = {"_TAORUNNER_COMPLETE": "complete_bash", "COMP_WORDS": "taorunner valid", "COMP_CWORD": "1"}
    assert cli(env=asked).out.split() == ["validate"]


def test_commands_of_the_same_time_have_their_own_answers(cli: Cli) -> None:
    networks = ["rtdetr", "dino", "dssd", "efficientdet_tf2"]
    answers: dict[str, Done] = {}
    askers = [
        threading.Thread(target=lambda name=name: answers.update({name: cli("networks", name, "--json")}))
        for name in networks
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert {name: json.loads(done.out)["name"] for name, done in answers.items()} == {
        name: name for name in networks
    }


def test_what_python_reads_when_it_starts_is_not_forked(cli: Cli) -> None:
    assert serves(cli.environment({"COLUMNS": "50", "TAO_KEY": "k"}))
    for name in ("PYTHONPATH", "LD_LIBRARY_PATH", "LC_ALL", "LANG"):
        assert not serves(cli.environment({name: "C"})), name


def test_a_command_that_takes_too_long_is_ended(cli: Cli) -> None:
    server = server_of(())
    with pytest.raises(subprocess.TimeoutExpired):
        server.run(["validate"], cwd=cli.home, env=cli.environment(), stdin=b"", timeout_s=0)
    code, out, _ = server.run(["--version"], cwd=cli.home, env=cli.environment(), stdin=b"", timeout_s=60)
    assert (code, out.split()[0]) == (0, b"taorunner")


def test_all_that_is_written_is_read() -> None:
    reader, writer = os.pipe()
    data = b"x" * 300_000
    asker = threading.Thread(target=lambda: [os.write(writer, data), os.close(writer)])
    asker.start()
    assert read_all([reader], 10) == {reader: data}
    asker.join()
    os.close(reader)
