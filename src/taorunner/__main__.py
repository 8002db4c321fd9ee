"""``python -m taorunner``, ``taorunner``, ``tao-runner`` and ``python -m tao-runner``: all come here.

A completion request is answered before anything heavy is imported.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    request = os.environ.get("_TAORUNNER_COMPLETE") or os.environ.get("_TAO_RUNNER_COMPLETE") or ""
    if request.startswith("complete_"):
        from taorunner.cli.completion import answer

        sys.exit(answer(request.removeprefix("complete_"), os.environ))
    from taorunner.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
