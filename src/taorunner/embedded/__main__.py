"""``python -m taorunner.embedded``: checks that the extra is installed, then hands over to ``entrypoint``."""

from __future__ import annotations

import importlib.util
import os
import sys

_NEEDED = {"numpy": "numpy", "pillow": "PIL", "onnx": "onnx", "ruamel.yaml": "ruamel.yaml"}


def main() -> int:
    missing = [package for package, module in _NEEDED.items() if not _is_installed(module)]
    if missing:
        names = " and ".join(missing)
        print(f"the embedded network needs {names}: pip install 'taorunner[embedded]'", file=sys.stderr)
        return 1
    # With small matrices, threads cost more than they gain, and experiments run in parallel.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from .run import StopRequest

    stop_request = StopRequest()
    stop_request.install()
    from .entrypoint import main as run

    return run(sys.argv[1:], stop_request)


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
