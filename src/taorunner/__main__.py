"""``python -m taorunner``, ``taorunner``, ``tao-runner`` and ``python -m tao-runner``: all come here.

A completion request is answered before anything heavy is imported.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taorunner.runs.handover import Supervisor


_ACTIONS = frozenset({"convert", "train", "evaluate", "prune", "export", "inference", "run", "resume"})
_NO_RUN = frozenset(
    {"--help", "-h", "--dry-run", "--version", "validate", "init-project", "networks", "runs", "logs"}
)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    request = os.environ.get("_TAORUNNER_COMPLETE") or os.environ.get("_TAO_RUNNER_COMPLETE") or ""
    if request.startswith("complete_"):
        from taorunner.cli.completion import answer

        sys.exit(answer(request.removeprefix("complete_"), os.environ))
    supervisor = _early_supervisor(sys.argv[1:])
    from taorunner.cli.app import run

    sys.exit(run(sys.argv[1:], supervisor))


def _early_supervisor(argv: list[str]) -> Supervisor | None:
    """Starts the supervisor while this process still imports, when it looks as if one will be needed.

    A wrong guess costs nothing but a process that ends by itself.
    """
    if not _ACTIONS.intersection(argv) or _NO_RUN.intersection(argv):
        return None
    from taorunner.runs.handover import Supervisor

    return Supervisor()


if __name__ == "__main__":
    main()
