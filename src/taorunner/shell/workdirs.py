"""The folders of open shells, and the clean-up of folders whose shell and guard are both dead.

``<state>/shells/<id>/`` has the secrets and a lock held by the shell and its guard. A folder without a held lock was
left behind by a power failure or by a kill of both.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from taorunner.backends.docker.request import container_name
from taorunner.engine.client import connect
from taorunner.errors import TaorunnerError
from taorunner.events import now
from taorunner.planning.model.plan import SHELL
from taorunner.planning.model.request import Site
from taorunner.planning.model.run_ids import new_run_id
from taorunner.project.workspace import Workspace
from taorunner.shell.container import end_container
from taorunner.state_files import is_locked, read_state

_LOCK = "lock"
_SETTLED_S = 60.0
"""Younger folders are kept: their shell may not have locked them yet."""


def shell_site(workspace: Workspace, name: str | None) -> Site:
    """A new site, named after the experiment or network, if there is one."""
    run_id = new_run_id(name or "container", SHELL, now())
    return Site(run_id, workspace.state_dir / "shells" / run_id)


def home_workspace(environ: Mapping[str, str]) -> Workspace:
    """The workspace for shells outside of any workspace. Only its home folder is mounted."""
    home = Path(environ.get("HOME") or Path.home())
    return Workspace(Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "taorunner")


def occupied(site: Site) -> int:
    """Creates the shell's folder and locks it; the returned descriptor holds the lock. Raises OSError."""
    site.run_dir.mkdir(parents=True, mode=0o700)
    descriptor = os.open(site.run_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, os.fsencode(os.uname().nodename))
    return descriptor


def vacate(site: Site) -> None:
    """Removes the folder and its content. Idempotent."""
    shutil.rmtree(site.run_dir, ignore_errors=True)
    with suppress(OSError):  # not empty: other shells are open
        site.run_dir.parent.rmdir()


def clear_leftovers(shells_dir: Path) -> None:
    """Ends containers of dead shells of this user on this machine, and removes their files. What fails is left to the
    next shell."""
    for place in _left_behind(shells_dir):
        with suppress(TaorunnerError):
            end_container(connect(), container_name(place.name))
            vacate(Site(place.name, place))


def _left_behind(shells_dir: Path) -> list[Path]:
    found: list[Path] = []
    try:
        places = sorted(shells_dir.iterdir())
    except OSError:
        return []
    for place in places:
        lock = place / _LOCK
        with suppress(OSError):  # no lock: it is being created, or was left before it was locked
            facts = lock.lstat()
            is_ours = facts.st_uid == os.getuid() and read_state(lock) == os.fsencode(os.uname().nodename)
            if is_ours and time.time() - facts.st_mtime > _SETTLED_S and not is_locked(lock):
                found.append(place)
    return found
