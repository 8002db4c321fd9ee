"""Programs of the host: results, time limits, errors."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from taorunner import host_commands
from taorunner.errors import MachineError
from taorunner.host_commands import CommandResult, run, run_raw, service_command


def test_what_a_program_said_and_how_it_ended() -> None:
    argv = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    result = run(argv, timeout_s=10)
    assert result == CommandResult(("sh", "-c", argv[2]), 3, "out\n", "err\n")
    assert (result.succeeded, result.last_words) == (False, "err")


@pytest.mark.parametrize(
    ("stdout", "stderr", "words"),
    [("a\nb\n", " \n", "b"), ("a", "c\n\n", "c"), ("", "", "ended with code 1")],
)
def test_last_words(stdout: str, stderr: str, words: str) -> None:
    assert CommandResult(("x",), 1, stdout, stderr).last_words == words


def test_input_folder_and_environment(tmp_path: Path) -> None:
    result = run(
        ["sh", "-c", "cat; pwd; echo $A"],
        timeout_s=10,
        stdin="ü\n",
        cwd=tmp_path,
        env={"A": "b", **os.environ},
    )
    assert result.stdout == f"ü\n{tmp_path}\nb\n"


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert run(["printf", r"a\377b"], timeout_s=10).stdout == "a\ufffdb"


def test_a_signal_is_reported_as_a_shell_would() -> None:
    assert run(["sh", "-c", "kill -9 $$"], timeout_s=10).code == 137


def test_a_program_that_reads_gets_the_end_of_input() -> None:
    assert run(["cat"], timeout_s=10) == CommandResult(("cat",), 0, "", "")


def test_a_program_with_grace_is_asked_to_end(tmp_path: Path) -> None:
    script = "trap 'echo asked >said; exit' TERM; sleep 600 & wait"
    with pytest.raises(MachineError):
        run(["sh", "-c", script], timeout_s=1, cwd=tmp_path, grace_s=10)
    assert (tmp_path / "said").read_text() == "asked\n"


def test_the_time_limit_ends_children_too(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(MachineError) as caught:
        run(["sh", "-c", "sleep 600 & echo $! >child; wait"], timeout_s=2, cwd=tmp_path)
    assert time.monotonic() - begun < 20
    assert "took longer than 2 s" in caught.value.message
    child = int((tmp_path / "child").read_text())
    deadline = begun + 30
    while _is_alive(child) and time.monotonic() < deadline:  # a killed process may take a moment to die
        time.sleep(0.01)
    assert not _is_alive(child)


def test_programs_that_cannot_be_started(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    for argv, message in (
        (["no-such-program"], 'there is no command "no-such-program" on PATH'),
        ([tmp_path / "text"], f'"{tmp_path}/text" cannot be started: permission denied'),
        (["echo", "a\0b"], '"echo" cannot be started: embedded null byte'),
    ):
        with pytest.raises(MachineError) as caught:
            run(argv, timeout_s=10)
        assert caught.value.message == message
    with pytest.raises(MachineError) as missing:
        run(["true"], timeout_s=10, cwd=tmp_path / "none")
    assert missing.value.message == f'there is no folder "{tmp_path / "none"}"'


def _is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_services_are_started_as_the_machine_does_it(tmp_path: Path) -> None:
    assert service_command("restart", root=tmp_path) == "sudo service docker restart"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert service_command("start", "containerd", tmp_path) == "sudo systemctl start containerd"


def test_a_program_that_prints_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_commands, "MOST_BYTES", 1 << 20)
    with pytest.raises(MachineError) as caught:
        run(["yes", "x" * 200], timeout_s=60)
    assert caught.value.message.endswith("printed more than 1.0 MiB")


def test_much_input_and_output_pass_each_other() -> None:
    data = b"0123456789abcde\n" * 300_000
    assert run_raw(["cat"], timeout_s=60, stdin=data).stdout == data
    assert run_raw(["true"], timeout_s=60, stdin=data).code == 0  # which reads nothing of it
    assert run_raw(["sh", "-c", "cat >&2; echo end"], timeout_s=60, stdin=data).stderr == data
