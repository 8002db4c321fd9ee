"""``--json`` on a refusal: stdout is one line with findings, whatever the command and the mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Cli, Done

from taorunner.cli.fast.words import TABLE

WITH_JSON = sorted(name for name, command in TABLE.items() if "--json" in command.options)
KEYS = {"severity", "code", "message", "hint", "file", "line", "column"}
Inside = Callable[..., Done]


def refused(done: Done) -> list[dict[str, object]]:
    """The findings on the only line of stdout; at least one is an error."""
    (findings,) = done.events
    assert isinstance(findings, list) and all(set(finding) == KEYS for finding in findings), done.out
    assert any(finding["severity"] == "error" for finding in findings)
    return findings


@pytest.mark.parametrize("command", WITH_JSON)
def test_a_usage_error_of_any_command_is_one_line_of_findings(cli_inside: Inside, command: str) -> None:
    done = cli_inside(*command.split(), "--json", "--no-such-option")
    findings = refused(done)
    assert (done.code, [finding["code"] for finding in findings]) == (2, ["usage"])
    assert findings[0]["message"] == "no such option: --no-such-option"
    assert "no such option" in done.err


@pytest.mark.parametrize(
    "command", [name for name in WITH_JSON if "--workspace" in TABLE[name].options and name != "quickstart"]
)
def test_a_workspace_that_is_not_there_is_one_line_of_findings(cli_inside: Inside, command: str) -> None:
    words = ["x" for kind in TABLE[command].words if kind] or ["x"]
    done = cli_inside(*command.split(), *words, "--json", "--workspace", "nowhere")
    if done.code == 2 and "unexpected extra argument" in done.err:
        done = cli_inside(*command.split(), "--json", "--workspace", "nowhere")
    if done.code in (0, 3) and command == "doctor":
        return  # the workspace is one of the things that it checks: its answer is a list of findings anyway
    findings = refused(done)
    assert done.code in (2, 3, 4), (findings, done.err)


def test_a_refused_start_prints_all_findings_and_nothing_else(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory({"experiments": {"e": {"head": "dino", "dataset": "coco", "colour": "red"}}})
    for words in (("train", "e"), ("train", "e", "--dry-run"), ("train", "e", "-d")):
        done = cli(*words, "--json", cwd=root)
        codes = {finding["code"] for finding in refused(done)}
        assert (done.code, "unknown-key" in codes) == (3, True), words
        assert "colour" not in done.err, "findings are printed once"
    assert not (root / ".taorunner/runs").exists()


def test_names_that_do_not_exist_keep_their_exit_codes(
    cli: Cli, workspace_factory: Callable[..., Path]
) -> None:
    root = workspace_factory({"experiments": {"e": {"head": "dino", "dataset": "coco"}}})
    asked = {
        ("train", "nobody"): (2, "unknown-experiment"),
        ("runs", "show", "nobody"): (6, "run-state"),
        ("networks", "nobody"): (2, "unknown-name"),
        ("image", "pull"): (4, "engine"),
    }
    for words, (code, kind) in asked.items():
        done = cli(*words, "--json", cwd=root)
        findings = refused(done)
        assert (done.code, findings[-1]["code"]) == (code, kind), (words, findings)
        assert done.err.startswith("error: "), done.err


def test_without_json_stdout_stays_empty(cli_inside: Inside) -> None:
    done = cli_inside("runs", "list", "--no-such-option")
    assert (done.code, done.out) == (2, "")


def test_words_for_tao_are_no_option(cli: Cli, workspace_factory: Callable[..., Path]) -> None:
    root = workspace_factory({"experiments": {"e": {"head": "dino", "dataset": "coco"}}})
    done = cli("train", "nobody", "--", "--json", cwd=root)
    assert (done.code, done.out) == (2, "")
