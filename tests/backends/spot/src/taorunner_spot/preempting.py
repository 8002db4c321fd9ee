"""The engine of one run: starts its command, preempts it, and starts it again. Imports nothing of taorunner.

``python preempting.py FOLDER COMMAND...``. A file ``taken`` in the folder takes the machine away; its text is the reason.
While the run waits, ``waiting`` holds that reason. It appears after the process has ended, so its output is whole.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PAUSE_S = 0.02


def main(folder: Path, command: list[str]) -> int:
    taken, waiting = folder / "taken", folder / "waiting"
    while True:
        while taken.exists():
            new = folder / "waiting.new"
            new.write_text(taken.read_text())
            new.replace(waiting)
            time.sleep(PAUSE_S)
        waiting.unlink(missing_ok=True)
        process = subprocess.Popen(command, start_new_session=True)
        signal.signal(signal.SIGTERM, lambda *_: end(process, exits=True))  # noqa: B023 (set anew for each process)
        while process.poll() is None and not taken.exists():
            time.sleep(PAUSE_S)
        if process.poll() is not None:
            return process.returncode if process.returncode >= 0 else 128 - process.returncode
        end(process)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def end(process: subprocess.Popen[bytes], *, exits: bool = False) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()
    if exits:
        os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
