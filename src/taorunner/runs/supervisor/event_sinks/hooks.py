"""``--on-finish``: a user's command that is started when a run ends, for example to send a notification.

It is started without a shell and receives the finished run as JSON on standard input. It cannot change the run.
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
from taorunner.events import Event, RunFinished, now
from taorunner.runs.outputs.recorded import RunResults, recorded_results
from taorunner.runs.state.snapshot import fold
from taorunner.runs.state.store import RunStore
from taorunner.runs.supervisor.sinks import Problems

HOOK_TIMEOUT_S = 60.0


def parse_hook(text: str, path: str | None = None) -> tuple[str, ...]:
    """The argument list of ``--on-finish``, with the program's full path, because it starts in another folder.

    Raises UsageError when the text cannot be split or the program does not exist.
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
            f'--on-finish: there is no command "{words[0]}"', hint="name a program on PATH, or its full path"
        )
    return (str(Path(program).absolute()), *words[1:])


class FinishHook:
    """The event sink that starts each run's hook after its end was recorded."""

    name = "on-finish"

    def __init__(
        self,
        store: RunStore,
        environ: Mapping[str, str],
        problems: Problems,
        timeout_s: float = HOOK_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._hooks = Hooks(environ, lambda run_id, text: problems.add(run_id, self.name, text), timeout_s)

    def write(self, run_id: str, events: Sequence[Event]) -> None:
        """Raises RunStateError or OSError when the record of the run cannot be read."""
        if not any(isinstance(event, RunFinished) for event in events):
            return
        record = self._store.load(run_id)
        if record.on_finish:
            workspace = self._store.load_plan(run_id).workspace
            self._hooks.start(run_id, record.on_finish, self._body(run_id), workspace)

    def close(self) -> None:
        self._hooks.wait()

    def _body(self, run_id: str) -> dict[str, object]:
        """The shape of ``runs show --json``."""
        snapshot = fold(self._store.read_events(run_id)[0], run_id)
        results = recorded_results(self._store, run_id) or RunResults()
        body = snapshot.to_json(self._store.paths(run_id).directory, now())
        return {**body, **results.to_json(), **self._store.load(run_id).origin_json()}


class Hooks:
    """Starts hooks in the background. ``on_failure(run id, text)`` is called for each failure, in another thread."""

    def __init__(
        self,
        environ: Mapping[str, str],
        on_failure: Callable[[str, str], None],
        timeout_s: float = HOOK_TIMEOUT_S,
    ) -> None:
        self._environ, self._on_failure, self._timeout_s = environ, on_failure, timeout_s
        self._threads: list[threading.Thread] = []

    def start(self, run_id: str, argv: Sequence[str], body: Mapping[str, object], cwd: Path) -> None:
        """Starts a hook and returns at once."""
        text = json.dumps(body, ensure_ascii=False) + "\n"
        thread = threading.Thread(
            target=self._run, args=(run_id, argv, text, cwd), name=f"hook-{run_id}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Blocks until all hooks have ended; each has a time limit."""
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
            self._on_failure(run_id, f"--on-finish {name}: {error.message}")
            return
        if not done.succeeded:
            self._on_failure(run_id, f"--on-finish {name} ended with code {done.code}: {done.last_words}")
