"""``tao_pt``, the program with which developers of TAO open its container, as words of ``taorunner shell``.

It mounts the source tree that ``NV_TAO_PYTORCH_TOP`` names, else the current folder where that is one, and takes the
image of its manifest. Elsewhere it opens the PyTorch image of the default release.
Source: NVIDIA/tao_pytorch_backend README.md, runner/tao_pt.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TREE_VARIABLE = "NV_TAO_PYTORCH_TOP"
_MANIFEST = Path("docker", "manifest.json")
_IMAGE_OPTIONS = ("--image", "--cached", "--head", "--group", "--experiment", "-e")


HELP = """\
Open a shell in the container of TAO's PyTorch backend

Usage: tao_pt [OPTIONS] [-- COMMAND]

Examples:
  tao_pt --gpus all --volume ~/data:/data --env PYTHONPATH=/tao-pt
  tao_pt --gpus 0,1 -- pytest tests

It mounts the source tree that NV_TAO_PYTORCH_TOP names, else the current
folder where that is one, and takes the image of its docker/manifest.json.
Elsewhere it opens the PyTorch image of the newest release.

Options
  --gpus all|none|IDS    Use these GPUs: ids as in nvidia-smi [default: all]
  --volume SRC:DST[:ro]  Mount one more folder; may be repeated
  --env NAME[=VALUE]     Set a variable inside; may be repeated
  --mounts_file FILE     Add the mounts of this file
  --shm_size SIZE        Set the shared memory, such as 16G
  --ulimit LIMIT         Set a limit: NAME=SOFT[:HARD]; may be repeated
  --port PORT            Publish [ADDR:][PORT:]PORT, on loopback by default
  --run_as_user          Run as you, even if a mounts file names another user
  --tag TAG              Use this tag of the image
  --no-tty               Run without a terminal, as in a pipe
  -h, --help             Show this page
It is a program of taorunner; "taorunner shell --help" lists its other options.
"""
"""The page of ``tao_pt --help``."""


def asks_for_help(words: Sequence[str]) -> bool:
    """Whether one of the options asks for the page, not of the command behind ``--``."""
    own = words[: words.index("--")] if "--" in words else words
    return any(word in ("--help", "-h") for word in own)


def shell_words(
    words: Sequence[str], environ: Mapping[str, str], here: Path, has_gpus: Callable[[], bool]
) -> list[str]:
    """The words of ``taorunner`` for those of ``tao_pt``. ``has_gpus`` is asked only where no GPUs are named: the
    default of ``tao_pt`` is all of them."""
    own = list(words[: words.index("--")] if "--" in words else words)
    given = {word.partition("=")[0] for word in own}
    more: list[str] = []
    tree = environ.get(_TREE_VARIABLE) or (str(here) if (here / _MANIFEST).is_file() else "")
    if tree and "--source" not in given:
        more += ["--source", tree]
    if not given & {*_IMAGE_OPTIONS, "--source"} and not (Path(here, tree or ".") / _MANIFEST).is_file():
        more += ["--group", "pyt"]
    if "--gpus" not in given and has_gpus():
        more += ["--gpus", "all"]
    return ["shell", *more, *_with_ids(own), *words[len(own) :]]


def _with_ids(words: Sequence[str]) -> list[str]:
    """``--gpus 0,1`` of ``tao_pt`` names GPUs; here that is ``--gpu-indices``."""
    found = list(words)
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        given = value if equals else words[at + 1] if at + 1 < len(words) else ""
        if name == "--gpus" and given not in ("all", "none", ""):
            found[at] = f"--gpu-indices{equals}{value}"
    return found
