"""A real sshd on loopback that lets its own user in, behind an alias of an ssh that is first on PATH."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDERS = "/usr/sbin:/sbin:/usr/local/sbin"
_INNER_SHELL = {"SHLVL": "2"}
"""bash reads ~/.bashrc for a command of sshd, but not where it is an inner shell: that file is not ours, and may wait."""


def is_installed() -> bool:
    return shutil.which("sshd", path=FOLDERS) is not None and shutil.which("ssh") is not None


@contextmanager
def ssh_host(
    folder: Path, alias: str, *, stranger: int | None = None, **env: str
) -> Iterator[dict[str, str]]:
    """The environment in which ``ssh ALIAS`` works. The server runs as the caller; its commands get ``env``.

    ``stranger`` is the id of a user whom only this server knows, and as whom it is reached; root can do that.
    """
    user = getpass.getuser() if stranger is None else "stranger"
    home = folder / "ssh"
    home.mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)], check=True)
    (home / "authorized_keys").write_text((home / "user.pub").read_text())
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized_keys\n"
        f"PidFile {home}/pid\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
        + f"SetEnv {' '.join(f'{name}={value}' for name, value in {**_INNER_SHELL, **env}.items())}\n"
    )
    public = (home / "host.pub").read_text().split()[:2]
    (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    (home / "config").write_text(
        f"Host {alias}\n  HostName 127.0.0.1\n  Port {port}\n  User {user}\n  IdentityFile {home}/user\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {home}/known_hosts\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    bin_dir = folder / "ssh-bin"
    bin_dir.mkdir()
    wrapper = bin_dir / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/config "$@"\n')
    wrapper.chmod(0o755)
    sshd = shutil.which("sshd", path=FOLDERS) or "sshd"
    known = [] if stranger is None else _with_user(home, user, stranger)
    server = subprocess.Popen([*known, sshd, "-D", "-f", str(home / "sshd_config"), "-E", str(home / "log")])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            threading.Event().wait(0.02)
        yield {"PATH": f"{bin_dir}:{os.environ['PATH']}"}
    finally:
        server.terminate()
        server.wait(120)


def _with_user(home: Path, name: str, uid: int) -> list[str]:
    """What starts a command in a namespace in which there is such a user."""
    folder = home / name
    folder.mkdir()
    os.chown(folder, uid, uid)
    line = f"{name}:x:{uid}:{uid}::{folder}:/bin/sh\n"
    (home / "passwd").write_text(Path("/etc/passwd").read_text() + line)
    for above in (home, *home.parents):
        if above.stat().st_uid == os.geteuid() and str(above).startswith(("/tmp/", "/dev/shm/")):
            above.chmod(above.stat().st_mode | 0o055)
    script = f'mount --make-rprivate / && mount --bind "{home}/passwd" /etc/passwd && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh"]
