"""The page of exit codes, from the error classes and their meaning in the help."""

from __future__ import annotations

from taorunner.cli.help_pages import EXIT_CODES
from taorunner.errors import ExitCode

_MEANINGS = {
    ExitCode.DONE: ("The command did what it was asked, or the run was detached and goes on.", "nothing"),
    ExitCode.RUN_FAILED: ("A run failed, or was stopped. Of several runs the worst outcome counts.",
                          "`taorunner runs show RUN` says why; [Troubleshooting](../troubleshooting.md) says what to do"),
    ExitCode.USAGE: ("The command line cannot be understood, or a name on it does not exist.", "the message names the nearest word"),
    ExitCode.USER_FILES: ("There are errors in experiments.yml, specs, data or weights. Nothing was started.",
                          "correct them; each has its place: [Findings](findings.md)"),
    ExitCode.MACHINE: ("This machine cannot do it: engine, driver, disk, login.", "`taorunner doctor`"),
    ExitCode.ENGINE_REFUSED: ("The container engine or the scheduler refused the request.", "the message has its words"),
    ExitCode.NO_SUCH_RUN: ("No run has that name, or the run is in the wrong state.", "`taorunner ps -a` lists all runs"),
    ExitCode.BUG: ("A fault of taorunner itself. Runs are not affected.", "send the file that the message names"),
    ExitCode.INTERRUPTED: ("Ctrl-C. Runs go on; only the view ended.", "`taorunner attach` shows them again"),
}  # fmt: skip


def page() -> str:
    """The whole page. Raises KeyError for a code without a meaning."""
    lines = [
        "# Exit codes", "",
        "They are part of the interface: scripts rely on them. `--json` does not change them.", "",
        "| code | meaning | what to do |", "|---|---|---|",
        *(f"| {code.value} | {_MEANINGS[code][0]} | {_MEANINGS[code][1]} |" for code in ExitCode), "",
        "`taorunner shell` ends with the exit code of the shell or of its command. A command whose reader closes the pipe",
        "ends with 141, as other programs do.", "",
        "`taorunner --help` has them in short:", "", "```text", *EXIT_CODES.splitlines(), "```",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
