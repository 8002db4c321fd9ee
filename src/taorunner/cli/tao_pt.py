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


def shell_words(
    words: Sequence[str], environ: Mapping[str, str], here: Path, has_gpus: Callable[[], bool]
) -> list[str]:
    """The words of ``taorunner`` for those of ``tao_pt``. ``has_gpus`` is asked only where no GPUs are named: the
    default of ``tao_pt`` is all of them."""
    own = list(words[: words.index("--")] if "--" in words else words)
    given = {word.partition("=")[0] for word in own}
    if given & {"--help", "-h"}:
        return ["shell", "--help"]
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
