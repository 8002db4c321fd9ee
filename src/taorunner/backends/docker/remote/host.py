"""Another host with a docker engine: commands there over one kept ssh connection, and the keepers of its runs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from taorunner import host_commands
from taorunner.backends.far.files import packed
from taorunner.backends.login_host import LoginHost, UnreachableError
from taorunner.backends.silence import Silence
from taorunner.errors import MachineError
from taorunner.text import printable

T = TypeVar("T")

COMMAND_TIMEOUT_S = 60.0
SILENT_PAUSE_S = 15.0
"""How long a host that did not answer is left alone."""
MAIN = "import sys\n\nfrom far.keeper import main\n\nsys.exit(main(sys.argv[1:]))\n"
_PACKAGE = Path(__file__).with_name("far")


def program() -> dict[str, str]:
    """The files of the keeper, by their names in a folder that ``python3 FOLDER`` runs."""
    own = {f"far/{path.name}": path.read_text(encoding="utf-8") for path in sorted(_PACKAGE.glob("*.py"))}
    return {"__main__.py": MAIN, **own}


class RemoteHost:
    """Thread-safe. ``reach`` and ``run`` raise SilentError while the host cannot be reached."""

    def __init__(
        self, host: str, environ: Mapping[str, str] | None = None, silent_pause_s: float = SILENT_PAUSE_S
    ) -> None:
        self.host: str | None = host
        self.login = LoginHost(host, os.environ if environ is None else environ)
        self._silence = Silence(silent_pause_s)

    def run(
        self, argv: Sequence[str], *, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> host_commands.CommandResult:
        return self._reached(lambda: self.login.run(argv, timeout_s=timeout_s))

    def reach(self, call: Callable[[], T]) -> T:
        """While nothing answers, only one question in some seconds is really asked."""
        self._silence.check()
        return self._reached(call)

    def keeper(self, folder: str, word: str, *words: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """What the keeper in that folder of the host prints; nothing where the folder is gone.

        Raises MachineError where it cannot be run.
        """
        done = self.run(["python3", folder, word, *words], timeout_s=timeout_s)
        is_gone = done.code != 0 and (
            "can't open file" in done.stderr or "can't find '__main__'" in done.stderr
        )
        return "" if is_gone and word != "start" else self._said(done)

    def probe(self, workspace: str, leases: str | None) -> str:
        """What the host has for runs. Leaves nothing there."""
        words = shlex.join(["probe", workspace, *([leases] if leases else [])])
        script = f'd=$(mktemp -d) || exit 1; trap \'rm -rf "$d"\' EXIT; tar -x -f - -C "$d" && python3 "$d" {words}'
        files = packed({name: (text.encode(), 0o600) for name, text in program().items()})
        done = self._reached(
            lambda: self.login.run_raw(["sh", "-c", script], timeout_s=COMMAND_TIMEOUT_S, stdin=files)
        )
        return self._said(done.as_text)

    def _said(self, done: host_commands.CommandResult) -> str:
        if done.succeeded:
            return done.stdout
        if done.code == 127 or "python3: not found" in done.stderr:
            raise MachineError(
                f'there is no python3 on "{self.host}"', hint="install Python 3.7 or later there"
            )
        if "future feature annotations" in done.stderr:
            raise MachineError(
                f'the python3 of "{self.host}" is too old', hint="install Python 3.7 or later there"
            )
        raise MachineError(f'"{self.host}": {printable(done.last_words)}')

    def _reached(self, call: Callable[[], T]) -> T:
        try:
            answer = call()
        except UnreachableError as error:
            raise self._silence.error(error.message, error.hint or "") from error
        except MachineError as error:
            if "took longer" in error.message:
                raise self._silence.error(error.message) from error
            raise
        self._silence.end()
        return answer
