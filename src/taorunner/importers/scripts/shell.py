"""Reads a shell script as commands with their lines and words, and follows its variables. Nothing is executed.

It knows quotes, comments, continued lines, lists of commands, pipes, redirections, here-documents, arrays and the
plain forms of ``$NAME``. What only a shell could know stays in the words as it is written: ``$(date)``, ``$1``, and
names that the script does not set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

Variables = dict[str, list[str]]
"""The words of each variable; one word, but for arrays. Assignments of the script are added to it."""

MAX_VALUE = 8_192
"""Characters of a value that is followed; a longer one stays a name."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<more>\+?)=")
_IN_BRACES = re.compile(
    r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<array>\[[@*]\])?(?::?[-=](?P<default>[^}]*))?\Z"
)
_SCRIPT_FOLDER = re.compile(r"dirname\b.*(?:\$0|\$\{0\}|BASH_SOURCE)")
_UP = re.compile(r"(?:/\.\.)+")
_HEADS = frozenset({
    "if", "then", "else", "elif", "fi", "do", "done", "while", "until", "!", "{", "}", "time", "sudo", "nohup", "exec",
    "export", "local", "readonly", "declare",
})  # fmt: skip
"""Words before a command, or before assignments, that change nothing of what is looked for here."""
_ENDS = ";&|\n"
_QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """``line`` is that of its first word. ``targets`` are files that its output goes to, ``document`` is the text of
    its here-document; ``assigned`` are the names that it sets, for itself alone where it has words."""

    line: int
    words: tuple[str, ...] = ()
    assigned: tuple[str, ...] = ()
    own_values: tuple[tuple[str, str], ...] = ()
    targets: tuple[str, ...] = ()
    document: str = ""


@dataclass(slots=True)
class _Open:
    """The command that is being read."""

    line: int = 0
    words: list[str] = field(default_factory=list)
    values: list[tuple[str, list[str]]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


class ShellReader:
    """Reads one script. ``folder`` is what ``$(dirname "$0")`` stands for, ``first_line`` the number of line 1."""

    def __init__(self, text: str, variables: Variables, *, folder: str = ".", first_line: int = 1) -> None:
        self._text, self._variables, self._folder = text, variables, folder
        self._at, self._line = 0, first_line
        self._depth = 0

    def commands(self) -> Iterator[ShellCommand]:
        """One command after the other. A variable that a command sets is known to the next one."""
        waiting: list[ShellCommand] = []  # of one pipe, which may turn out to be the pattern of a "case"
        while self._at < len(self._text):
            command, end = self._command()
            if command is not None:
                waiting.append(command)
            if end == ")" and self._depth < 0:
                self._depth = 0
                waiting = []
            elif end != "|":
                yield from waiting
                waiting = []
        yield from waiting

    def _command(self) -> tuple[ShellCommand | None, str]:
        """The next command and the character that ended it."""
        made = _Open()
        end = ""
        while self._at < len(self._text):
            self._skip_blanks()
            char = self._text[self._at : self._at + 1]
            if char == "" or char in _ENDS or char in "()":
                self._at += 1
                end = char
                self._depth += {"(": 1, ")": -1}.get(char, 0)
                break
            if char in "<>":
                self._redirection(made)
                continue
            if not made.line:
                made.line = self._line
            self._take_word(made)
        document = self._documents(made.marks) if end == "\n" else ""
        self._line += end == "\n"
        return self._closed(made, document), end

    def _closed(self, made: _Open, document: str) -> ShellCommand | None:
        while made.words and made.words[0] in _HEADS:
            del made.words[0]
        if not (made.words or made.values or made.targets):
            return None
        if not made.words:
            self._variables |= dict(made.values)
        own = tuple((name, " ".join(words)) for name, words in made.values) if made.words else ()
        names = tuple(name for name, _ in made.values)
        return ShellCommand(made.line, tuple(made.words), names, own, tuple(made.targets), document)

    def _skip_blanks(self) -> None:
        while self._at < len(self._text):
            char = self._text[self._at]
            if self._text.startswith("\\\n", self._at) or self._text.startswith("\\\r\n", self._at):
                self._line += 1
                self._at += 2 if self._text[self._at + 1] == "\n" else 3
            elif char in " \t\r":
                self._at += 1
            elif char == "#":
                while self._at < len(self._text) and self._text[self._at] != "\n":
                    self._at += 1
            else:
                return

    def _take_word(self, made: _Open) -> None:
        match = _ASSIGNMENT.match(self._text, self._at)
        heads_only = all(word in _HEADS for word in made.words)
        if match is not None and heads_only:
            self._at = match.end()
            is_array = self._text.startswith("(", self._at)
            values = self._array() if is_array else [" ".join(self._word())]
            before = self._variables.get(match["name"], [])
            if match["more"]:
                values = [*before, *values] if is_array else ["".join((*before[-1:], *values))]
            if sum(map(len, values)) <= MAX_VALUE:
                made.values.append((match["name"], values))
            return
        made.words += self._word()

    def _array(self) -> list[str]:
        self._at += 1
        values: list[str] = []
        while self._at < len(self._text):
            self._skip_blanks()
            char = self._text[self._at : self._at + 1]
            if char == "\n":
                self._line += 1
                self._at += 1
            elif char in ("", ")"):
                self._at += 1
                break
            elif char in "(<>;&|":
                self._at += 1
            else:
                values += self._word()
        return values

    def _redirection(self, made: _Open) -> None:
        match = re.compile(r"[<>]+&?[|-]?").match(self._text, self._at)
        assert match is not None
        sign = match[0]
        self._at = match.end()
        if made.words and made.words[-1].isdecimal() and self._text[match.start() - 1].isdecimal():
            made.words.pop()  # 2> names a stream
        self._skip_blanks()
        start = self._at
        target = self._word() if self._text[self._at : self._at + 1] not in ("", *_ENDS, "(", ")") else []
        if sign.startswith("<<") and not sign.startswith("<<<"):
            made.marks.append(re.sub(r"[\"'\\]", "", self._text[start : self._at]))
        elif sign.startswith(">") and "&" not in sign:
            made.targets += target
        if not made.line:
            made.line = self._line

    def _documents(self, marks: list[str]) -> str:
        """The lines of the here-documents that begin on the next line; the last line of each is its mark."""
        lines: list[str] = []
        for mark in marks:
            while self._at < len(self._text):
                line, _, _ = self._text[self._at :].partition("\n")
                self._at += len(line) + 1
                self._line += 1
                if line.strip() == mark:
                    break
                lines.append(self._expanded_line(line))
        return "\n".join(lines)

    def _expanded_line(self, line: str) -> str:
        return re.sub(
            r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))",
            lambda match: " ".join(self._variables.get(match[1] or match[2], [match[0]])),
            line,
        )

    def _word(self) -> list[str]:
        """The word that begins here: several where an array or an unquoted value has several, none where it is empty
        and unquoted."""
        done: list[str] = []
        text, is_quoted = "", False
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in " \t\r\n;&|()<>":
                break
            if char == "\\":
                following = self._text[self._at + 1 : self._at + 2]
                self._at += 2
                if following == "\n":
                    self._line += 1
                else:
                    text += following
            elif char == "'":
                end = self._text.find("'", self._at + 1)
                end = len(self._text) if end < 0 else end
                piece = self._text[self._at + 1 : end]
                text, is_quoted = text + piece, True
                self._line += piece.count("\n")
                self._at = end + 1
            elif char == '"':
                first, *others = self._double_quoted() or [""]
                text, is_quoted = text + first, True
                for other in others:
                    done.append(text)
                    text = other
            elif char in "$`":
                words = self._expansion()
                split = [part for word in words for part in word.split()]
                if split:
                    text += split[0]
                    for other in split[1:]:
                        done.append(text)
                        text = other
            else:
                text += char
                self._at += 1
        if text or is_quoted:
            done.append(text)
        return done

    def _double_quoted(self) -> list[str]:
        self._at += 1
        words = [""]
        while self._at < len(self._text) and self._text[self._at] != '"':
            char = self._text[self._at]
            if char == "\\":
                following = self._text[self._at + 1 : self._at + 2]
                self._at += 2
                if following == "\n":
                    self._line += 1
                    words[-1] += " "
                else:
                    words[-1] += following if following in '$`"\\' else f"\\{following}"
            elif char in "$`":
                first, *others = self._expansion() or [""]
                words[-1] += first
                words += others
            else:
                self._line += char == "\n"
                words[-1] += char
                self._at += 1
        self._at += 1
        return words

    def _expansion(self) -> list[str]:
        """What the ``$`` or backquote here stands for; its own text where that is not known."""
        start = self._at
        if self._text[start] == "`":
            end = self._text.find("`", start + 1)
            self._at = len(self._text) if end < 0 else end + 1
            return [self._substituted(self._text[start : self._at])]
        if self._text.startswith("$(", start):
            self._at = self._closing(start + 1, "(", ")")
            return [self._substituted(self._text[start : self._at])]
        if self._text.startswith("${", start):
            self._at = self._closing(start + 1, "{", "}")
            match = _IN_BRACES.match(self._text[start + 2 : self._at - 1])
            if match is None:
                return [self._text[start : self._at]]
            known = self._variables.get(match["name"])
            if known is None and match["default"] is not None:
                inside = ShellReader(
                    f'"{match["default"].strip(_QUOTES)}"', self._variables, folder=self._folder
                )
                return [" ".join(inside._double_quoted())]
            if known is None:
                return [self._text[start : self._at]]
            return known if match["array"] else [" ".join(known)]
        match = _NAME.match(self._text, start + 1)
        if match is None:
            self._at = start + 2
            return [self._text[start : self._at]]
        self._at = match.end()
        return [" ".join(self._variables[match[0]])] if match[0] in self._variables else [f"${match[0]}"]

    def _closing(self, start: int, opening: str, closing: str) -> int:
        """The place behind the bracket that closes the one at ``start``."""
        depth = 0
        for at in range(start, len(self._text)):
            char = self._text[at]
            depth += (char == opening) - (char == closing)
            if depth == 0:
                self._line += self._text[start:at].count("\n")
                return at + 1
        return len(self._text)

    def _substituted(self, text: str) -> str:
        inside = text.strip("`$()").strip()
        if inside == "pwd":
            return " ".join(self._variables.get("PWD", [text]))
        if _SCRIPT_FOLDER.search(text):
            up = _UP.search(text)
            return self._folder + (up[0] if up is not None else "")
        return text
