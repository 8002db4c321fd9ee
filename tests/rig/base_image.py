"""Docker images out of what this machine has: no registry, no network, no package manager.

The running CPython, its standard library and the shared libraries of both are streamed as a tar into ``docker import``,
with busybox-static for a shell. That works for pyenv's, GitHub's and Debian's interpreters alike.
"""

from __future__ import annotations

import importlib.util
import io
import os
import py_compile
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from private_daemon import RigError, which

from rig import Engine

LEFT_OUT = {
    "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip",
    "site-packages", "dist-packages", "pydoc_data", "unittest", "distutils",
}  # fmt: skip
LOADED_LATE = (  # libraries that ldd does not list because they are opened by name
    "libgcc_s.so.1", "libstdc++.so.6", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2",
    "libpthread.so.0", "libdl.so.2", "libutil.so.1", "librt.so.1", "libm.so.6",
)  # fmt: skip
LIBRARY_DIRS = (
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
)
LABEL = "com.taorunner.test=1"


@dataclass
class Tree:
    """What an image holds. Paths are relative to its root."""

    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)  # written with mode 0755
    links: dict[str, str] = field(default_factory=dict)

    def add_busybox(self) -> None:
        """A shell and the usual tools in /bin. Raises RigError when there is no static busybox."""
        busybox = which("busybox")
        if busybox is None or shared_libraries(Path(busybox)):
            raise RigError("no static busybox (Debian: busybox-static)")
        self.files["bin/busybox"] = Path(busybox)
        applets = subprocess.run(
            [busybox, "--list"], capture_output=True, text=True, check=True
        ).stdout.split()
        self.links.update({f"bin/{name}": "busybox" for name in applets if name not in ("busybox", "bash")})
        self.texts["bin/bash"] = '#!/bin/sh\nexec /bin/sh "$@"\n'

    def add_python(self) -> None:
        """This interpreter below /opt/py, as python3 on PATH, with the bytecode of its library."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        standard = Path(sysconfig.get_paths()["stdlib"]).resolve()
        executable = Path(sys.executable).resolve()
        for folder, names, found in os.walk(standard):
            names[:] = [name for name in names if name not in LEFT_OUT and not name.startswith("config-")]
            for name in found:
                path = Path(folder, name)
                if path.suffix == ".pyc" and not name.endswith(f".{sys.implementation.cache_tag}.pyc"):
                    continue  # of another Python, or optimised
                self.files[f"opt/py/lib/{version}/{path.relative_to(standard)}"] = path
        self.files[f"opt/py/bin/{version}"] = executable
        self.links.update({f"usr/bin/{name}": f"/opt/py/bin/{version}" for name in ("python3", "python")})
        self.add_libraries([executable, *(standard / "lib-dynload").glob("*.so")])
        for name in LOADED_LATE:
            for base in LIBRARY_DIRS:
                if Path(base, name).exists():
                    self.files[f"usr/lib/{name}"] = Path(base, name)
                    break

    def add_modules(self, place: str, sources: Mapping[str, Path], scratch: Path) -> None:
        """Modules below ``place``, each with its bytecode, which is made in ``scratch``."""
        for name, source in sources.items():
            self.files[f"{place}/{name}"] = source
            if source.suffix == ".py":
                compiled = importlib.util.cache_from_source(name)
                target = scratch / compiled
                py_compile.compile(str(source), str(target), f"/{place}/{name}", doraise=True)
                self.files[f"{place}/{compiled}"] = target

    def add_libraries(self, programs: Iterable[Path]) -> None:
        """All shared libraries these programs load, and the loader where they look for it."""
        for library in sorted(set().union(*(shared_libraries(program) for program in programs))):
            is_loader = library.name.startswith("ld-linux")
            self.files[str(library).lstrip("/") if is_loader else f"usr/lib/{library.name}"] = library

    def write(self, target: io.BufferedIOBase) -> None:
        """The tree as a tar stream."""
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for name in ("etc", "root", "home", "var", "run", "proc", "sys", "dev", "usr/lib", "workspace"):
                archive.addfile(directory(name))
            archive.addfile(directory("tmp", 0o1777))
            for name, text in {
                "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
                "etc/group": "root:x:0:\n",
                "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
            }.items():
                archive.addfile(*regular(name, text.encode(), 0o644))
            for name, text in self.texts.items():
                archive.addfile(*regular(name, text.encode(), 0o755))
            for name, source in self.files.items():
                status = source.stat()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o111 else 0o644
                entry.mtime = int(status.st_mtime)  # bytecode counts only for sources of its time
                with source.open("rb") as content:
                    archive.addfile(entry, content)
            for name, aim in self.links.items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, aim
                archive.addfile(entry)


def import_tree(
    engine: Engine, tree: Tree, tag: str, environment: Mapping[str, str], extra: Iterable[str] = ()
) -> None:
    """Makes the tree an image of the engine. ``extra`` are more Dockerfile lines (CMD, WORKDIR, USER)."""
    lines = [*(f"ENV {key}={value}" for key, value in environment.items()), f"LABEL {LABEL}", *extra]
    stream = io.BytesIO()
    tree.write(stream)
    changes = [word for line in lines for word in ("-c", line)]
    done = engine.docker("import", *changes, "-", tag, input_bytes=stream.getvalue())
    if done.returncode:
        raise RigError(f"docker import {tag}: {done.stderr.strip()}")


def shared_libraries(program: Path) -> set[Path]:
    """What ldd says this program loads; empty for a static one."""
    listed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    return {Path(found) for found in re.findall(r"(?:=> )?(/\S+) \(0x", listed)}


def directory(name: str, mode: int = 0o755) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry


def regular(name: str, content: bytes, mode: int) -> tuple[tarfile.TarInfo, io.BytesIO]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    return entry, io.BytesIO(content)


def programs_on_path(names: Iterable[str]) -> Iterator[Path]:
    """Where these programs lie. Raises RigError naming the first that does not exist."""
    for name in names:
        found = which(name)
        if found is None:
            raise RigError(f"'{name}' is not installed")
        yield Path(found)
