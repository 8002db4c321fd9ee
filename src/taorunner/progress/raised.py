"""Finds the exception that ended a run among all that it printed.

Python prints chains with the original exception first, DataLoader prints a wrapper first, and other processes, threads
and clean-ups print theirs before or after it. An exception that only refers to another one is called hollow here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from taorunner.progress.causes.cause import Place, SeenCause, Weight
from taorunner.progress.causes.table import find_cause
from taorunner.progress.hints import TracebackHint
from taorunner.values.value import replace

_LIMIT = 40
_DETAIL_LIMIT = 40
_HOLLOW = re.compile(
    r"\bCaught \w{1,80} in |ChildFailedError|^SystemExit|CalledProcessError|^KeyboardInterrupt|SIGTERMException"
    r"|root error\(s\) found|: in user code:|AttributeError: __enter__|Engine file loading failed"
    r"|no attribute '(?:create_execution_context|serialize)'|int\(\) with base 10: ''|killed by signal: "
    r"Terminated"
    r"|Graph execution error:$|factory function returned nullptr"
    r"|BdbQuit|ProcessExitedException|BrokenProcessPool|^RemoteError|multiprocessing\.pool\.RemoteTraceback",
    re.ASCII,
)
_CLEANING_UP = re.compile(
    r"pymp-|\.nfs[0-9a-f]|can only test a child process|\bwandb\b(?![^\n]{0,60}api_key)|[Tt]elemetry|"
    r"pynvml_utils",
    re.ASCII,
)
_TOLD_AS = re.compile(r"(?:[A-Za-z_]\w{0,80}\.){0,8}\w{0,80}(?:Error|Exception): \S|\(0\) \S", re.ASCII)


_FRAME = re.compile(
    r'File "(?P<file>[^"\n]{1,400})", line (?P<line>\d{1,9})(?:, in (?P<function>[\w.<>]{1,100}))?', re.ASCII
)
_PACKAGES = re.compile(r"^.*/(?:dist|site)-packages/")
_LIBRARY = re.compile(
    r"^(?:torch|torchvision|pytorch_lightning|lightning|lightning_fabric|lightning_utilities|hydra|omegaconf|"
    r"numpy"
    r"|tensorflow|keras|importlib|PIL|cv2|pandas|h5py|google|horovod|transformers|onnx|onnxruntime|"
    r"tensorrt)(?:/|\.|$)"
    r"|/python\d(?:\.\d{1,2})?/|^<",
    re.ASCII,
)


def is_hollow(exception: str) -> bool:
    """True for the text of an exception that does not contain the cause."""
    return _HOLLOW.search(exception) is not None


@dataclass(slots=True)
class _Raised:
    hint: TracebackHint
    epoch: int | None
    details: list[str] = field(default_factory=list)

    @property
    def is_hollow(self) -> bool:
        return is_hollow(self.hint.line) and self._of_graph() is None

    def _of_graph(self) -> str | None:
        """The exception of a TensorFlow 2 graph with its message, which is the line before the node's name."""
        if not self.hint.line.endswith("Graph execution error:"):
            return None
        for message, node in zip(self.details, self.details[1:], strict=False):
            if node.lstrip().startswith("[[{{") and not message.startswith(("Node: ", "Detected at")):
                return f"{self.hint.line.removesuffix('Graph execution error:')}{message.strip()}"
        return None

    def text(self) -> str:
        """The line of the exception; for a hollow one the detail line with the cause."""
        of_graph = self._of_graph()
        if of_graph is not None:
            return of_graph
        if self.is_hollow:
            for node, detail in zip(self.details, self.details[1:], strict=False):
                if node.startswith("Node: "):  # of a graph of TensorFlow 2
                    return detail.strip()
            for detail in reversed(self.details):
                if _TOLD_AS.match(detail.strip()):
                    return re.sub(r"^\(0\) ", "", detail.strip())
        elif self.hint.line.endswith(":") and self.details:  # the message begins on the next line
            return f"{self.hint.line} {self.details[0].strip()}"
        elif self.hint.line == "AssertionError" and self.hint.frame:
            return f"AssertionError: {self.hint.frame.rsplit(chr(10), 1)[-1].strip()}"
        return self.hint.line

    def causes(self) -> list[SeenCause]:
        line, frame, outer = self.hint.line, self.hint.frame, self.hint.outer
        below = "\n".join(self.details)
        if not self.is_hollow:
            text = "\n".join((self.text(), *self.details))
            seen = find_cause(text, self.epoch, Place.EXCEPTION, frame, outer)
            return [seen] if seen else []
        found = (
            find_cause(line, self.epoch, Place.HOLLOW, frame),
            find_cause(below, self.epoch, Place.EXCEPTION, frame) if below else None,
        )
        return [seen for seen in found if seen is not None]


class RaisedErrors:
    """Collects the exceptions of ``ConsoleParser``, in order."""

    def __init__(self) -> None:
        self._chains: list[list[_Raised]] = []
        self._in_threads: list[list[_Raised]] = []
        self._last: _Raised | None = None

    def add(self, hint: TracebackHint, epoch: int | None) -> None:
        self._last = None
        if hint.is_ignored or _CLEANING_UP.search(hint.line):
            return
        raised = self._last = _Raised(hint, epoch)
        chains = self._in_threads if hint.in_thread else self._chains
        if hint.is_chained and chains:
            chains[-1].append(raised)
            del chains[-1][_LIMIT:]
        elif len(chains) < _LIMIT:
            chains.append([raised])

    def add_detail(self, text: str) -> None:
        """A further line of the last exception."""
        if self._last is not None:
            self._last.details.append(text)
            del self._last.details[:-_DETAIL_LIMIT]

    def clear(self) -> None:
        self._chains.clear()
        self._in_threads.clear()
        self._last = None

    @property
    def text(self) -> str | None:
        """The text of the exception that ended the run: the original one of its chain."""
        chain = self._chain()
        if not chain:
            return None
        for raised in chain:
            if not raised.is_hollow or raised.text() != raised.hint.line:
                return raised.text()
        return chain[0].text()

    @property
    def place(self) -> str | None:
        """Where the exception of ``text`` was raised: file, line and function, if possible not a library's."""
        for raised in self._chain():
            if not raised.is_hollow or raised.text() != raised.hint.line:
                return _place(raised.hint)
        return None

    def causes(self) -> list[SeenCause]:
        """The known causes: those of the chain that ended the run, and those of other exceptions as ordinary lines."""
        chosen = self._chain()
        found: list[SeenCause] = []
        if chosen:
            own = [seen for raised in chosen for seen in raised.causes()]
            found += _fullest(own)
        for chain in self._chains:
            if chain is not chosen:
                for raised in chain:
                    found += [replace(seen, place=Place.LINE) for seen in raised.causes()]
        return found

    def _chain(self) -> list[_Raised]:
        """The first chain that is not hollow, preferably in the main thread."""
        chains = self._chains or self._in_threads
        return next((chain for chain in chains if _says_something(chain)), chains[0] if chains else [])


def _says_something(chain: list[_Raised]) -> bool:
    for raised in chain:
        if any(seen.cause.weight in (Weight.PEERS, Weight.SIGNAL) for seen in raised.causes()):
            continue
        if not raised.is_hollow or raised.text() != raised.hint.line:
            return True
    return False


def _fullest(seen: list[SeenCause]) -> list[SeenCause]:
    """The cause of the original exception, or a later one of the same kind with more details."""
    if not seen:
        return []
    first = next((one for one in seen if one.place is Place.EXCEPTION), seen[0])
    same = [one for one in seen if one.cause.code == first.cause.code and (one.what or one.path)]
    best = first if (first.what or first.path) else (same[0] if same else first)
    others = [one for one in seen if one.cause.weight < first.cause.weight]
    return [best, *others]


def _place(hint: TracebackHint) -> str | None:
    """``matcher.py:12 (forward)``, of TAO's own code if there is any."""
    frames = [match for frame in (hint.frame, *hint.outer) if (match := _FRAME.search(frame))]
    files = [_PACKAGES.sub("", match["file"]) for match in frames]
    own = [name.startswith("nvidia_tao") for name in files]
    others = [not _LIBRARY.search(name) for name in files]
    chosen = next((marks.index(True) for marks in (own, others) if True in marks), 0)
    if not frames:
        return None
    function = frames[chosen]["function"]
    name = files[chosen].rsplit("/", 1)[-1]
    return f"{name}:{frames[chosen]['line']}" + (f" ({function})" if function else "")
