"""Hooks for people: a command of theirs that is told of each run's end, for a message to a chat or a mail.

No shell; what the run ended with comes as JSON on standard input. Whatever the command does, the run stays as it is.
"""

from __future__ import annotations

import json
import shlex
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from taorunner import host_commands
from taorunner.errors import MachineError, UsageError

HOOK_TIMEOUT_S = 60.0


def parse_hook(text: str, path: str | None = None) -> tuple[str, ...]:
    """The argument list of ``--on-finish``, its program by its full path, since it is started from elsewhere.

    Raises UsageError when it cannot be split or there is no such program.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(
            f"--on-finish cannot be read: {str(error).lower()}", hint="close the quotes"
        ) from error
    if not words:
        raise UsageError(
            "--on-finish names no command", hint='for example --on-finish "notify-team --room 7"'
        )
    program = shutil.which(words[0], path=path)
    if program is None:
        raise UsageError(
            f'--on-finish: there is no command "{words[0]}"', hint="name a program on PATH, or its whole path"
        )
    return (str(Path(program).absolute()), *words[1:])


class Hooks:
    """Starts hooks in the background. ``tell`` gets ``(run id, text)`` of each that fails, from another thread."""

    def __init__(
        self, environ: Mapping[str, str], tell: Callable[[str, str], None], timeout_s: float = HOOK_TIMEOUT_S
    ) -> None:
        self._environ, self._tell, self._timeout_s = environ, tell, timeout_s
        self._threads: list[threading.Thread] = []

    def start(self, run_id: str, argv: Sequence[str], body: Mapping[str, object], cwd: Path) -> None:
        """Returns at once."""
        text = json.dumps(body, ensure_ascii=False) + "\n"
        thread = threading.Thread(
            target=self._run, args=(run_id, argv, text, cwd), name=f"hook-{run_id}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Until each has ended; their time is limited."""
        for thread in self._threads:
            thread.join(self._timeout_s + 5)

    def _run(self, run_id: str, argv: Sequence[str], text: str, cwd: Path) -> None:
        name = Path(argv[0]).name
        try:
            done = host_commands.run(
                argv,
                timeout_s=self._timeout_s,
                env=self._environ,
                stdin=text,
                cwd=cwd if cwd.is_dir() else None,
            )
        except MachineError as error:
            self._tell(run_id, f"--on-finish {name}: {error.message}")
            return
        if not done.succeeded:
            self._tell(run_id, f"--on-finish {name} ended with code {done.code}: {done.last_words}")
