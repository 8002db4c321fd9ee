"""Dumps the spec schemas of the installed TAO packages as one line of JSON.

Runs inside images, without taorunner: ``reader_command`` builds a command line that carries the text of this module and
of those that it needs. Python 3.8, as they are.
"""

from __future__ import annotations

import json
import sys
import typing
from pathlib import Path

from taorunner.specs.extract.dataclass_schemas import config_packages, read_configs
from taorunner.specs.extract.protobuf_schemas import read_messages

MARK = "TAORUNNER-SPECS "
"""Prefix of the result line; the entry point of an image may print other lines before it."""
PACKAGES = ("nvidia_tao_pytorch", "nvidia_tao_tf2", "nvidia_tao_deploy", "nvidia_tao_ds", "nvidia_tao_core")
"""Where dataclasses are looked for; what two packages have is the first one's. Source: tao/pytorch.md section 5."""
PROTO_PACKAGES = ("nvidia_tao_tf1", "nvidia_tao_deploy")

_MODULES = ("dataclass_schemas", "protobuf_schemas", "in_image")
_START = """\
import sys, types
for name, text in zip(sys.argv[1::2], sys.argv[2::2]):
    module = sys.modules["taorunner.specs.extract." + name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
"""


def reader_command() -> typing.Tuple[str, ...]:  # noqa: UP006
    """The command line for a Python with TAO and without taorunner."""
    here = Path(__file__).parent
    words = [
        word for name in _MODULES for word in (name, (here / (name + ".py")).read_text(encoding="utf-8"))
    ]
    return ("python3", "-c", _START, *words)


def main() -> None:
    sys.stdout.write("\n" + MARK + json.dumps(read_installed(), separators=(",", ":")) + "\n")
    sys.stdout.flush()


def read_installed() -> dict[str, typing.Any]:
    """Schemas of TAO's packages on ``sys.path``: ``yaml`` and ``prototxt`` schemas, ``failed``, and the versions."""
    versions: dict[str, typing.Any] = {}
    packages: dict[str, typing.Any] = {}
    protos: dict[str, typing.Any] = {"schemas": {}, "failed": {}}
    for package in dict.fromkeys([*PACKAGES, *PROTO_PACKAGES]):
        root = next((Path(path) / package for path in sys.path if (Path(path) / package).is_dir()), None)
        if root is None:
            continue
        versions[package] = _version(package)
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
        if package in PACKAGES:
            packages = dict(config_packages(package, files), **packages)
        if package in PROTO_PACKAGES and not protos["schemas"]:
            sources = [path.read_bytes() for name, path in files.items() if name.endswith("_pb2.py")]
            try:
                found = read_messages(package, sources)
            except ImportError as error:  # this Python has the messages and not their library
                found = {"schemas": {}, "failed": {"messages of " + package: str(error)}}
            protos = found if found["schemas"] or not protos["failed"] else protos
    configs = read_configs(packages) if packages else {"schemas": {}, "failed": {}}
    failed = dict(protos["failed"], **configs["failed"])
    return {"yaml": configs["schemas"], "prototxt": protos["schemas"], "failed": failed, "packages": versions}


def _version(package: str) -> typing.Optional[str]:  # noqa: UP045
    try:
        from importlib.metadata import PackageNotFoundError, version
    except ImportError:
        return None
    for name in (package.replace("_", "-"), package):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
