"""Whether an engine is rootless: a user's own one, in whose containers root is that user.

Other ids inside are ids of nobody here, so what they write belongs to nobody either.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from taorunner.engine.client import CONNECT_TIMEOUT_S, Engine, translated
from taorunner.engine.facts import read_facts
from taorunner.errors import EngineRefusedError

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


def is_rootless(engine: Engine) -> bool:
    """Asks the kernel who listens at the engine's socket, and the engine only where that does not settle it.

    Podman takes more than a second to describe itself. An engine that refuses the question counts as root's.
    """
    listener = _listener(engine)
    if listener == 0:
        return False
    if engine.is_podman and listener is not None:
        return True
    with suppress(EngineRefusedError):
        return read_facts(engine).is_rootless
    return False


def _listener(engine: Engine) -> int | None:
    """The uid of the process that listens at a local socket; None where that cannot be known.

    Source: unix(7), SO_PEERCRED.
    """
    scheme, _, path = engine.address.url.partition("://")
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or scheme not in ("unix", "http+unix"):
        return None
    with translated(engine.asked()), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        probe.connect("/" + path.lstrip("/"))
        found = probe.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])
