"""``--show-completion [SHELL]`` and ``--install-completion [SHELL]``: the scripts of tab completion, which are Typer's.

Without a word they are for the shell that runs this program. ``tao-runner`` and ``tao_pt`` have scripts of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from taorunner.errors import UsageError
from taorunner.text import did_you_mean, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_OTHER_PROGRAMS = ("tao-runner", "tao_pt")
_SHOW, _INSTALL = "--show-completion", "--install-completion"


def is_asked(words: Sequence[str]) -> bool:
    """Whether the command line asks for one of the scripts."""
    return bool(words) and words[0].partition("=")[0] in (_SHOW, _INSTALL) and "--help" not in words


def answer_with_script(words: Sequence[str]) -> int:
    """Prints or installs a script. Raises UsageError for a shell that is not known."""
    from typer._completion_shared import get_completion_script, install

    flag, _, value = words[0].partition("=")
    shell = value or next(iter(words[1:]), None) or _running_shell()
    if shell not in SHELLS:
        problem = (
            "the shell is not known" if shell is None else f'there is no completion for "{printable(shell)}"'
        )
        close = did_you_mean(shell or "", SHELLS) if shell else None
        raise UsageError(problem, hint=close or f"name one: taorunner {flag} bash")
    typed = Path(sys.argv[0]).name
    program = typed if typed in _OTHER_PROGRAMS else "taorunner"
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    if flag == _SHOW:
        print(get_completion_script(prog_name=program, complete_var=variable, shell=shell))
        return 0
    installed, path = install(shell=shell, prog_name=program, complete_var=variable)
    print(f"{installed} completes {program} from now on, in new terminals: {path}")
    return 0


def _running_shell() -> str | None:
    from typer._completion_shared import _get_shell_name

    return _get_shell_name()
