"""Secrets on their way into the process: files with mode 0600 in the run's input folder, and nowhere else.

A model key that a spec can hold is set in a private copy of the spec: no command line ever shows it. Elsewhere
argv holds marks instead of secrets. ``with-secrets``, a constant shell script beside the secrets, puts the files'
content in place of the marks and into variables inside, right before it becomes the command. So no request,
record, label or ``docker inspect`` ever holds one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from taorunner.disk_room import naming
from taorunner.errors import UserFilesError
from taorunner.planning.environment import secret_file
from taorunner.planning.plan import SECRET_MARK, SECRET_SPEC_DIR, RunPlan, SecretSource
from taorunner.text import MASK

INPUT_DIR = "input"
SECRETS_DIR = "secrets"
WRAPPER = "with-secrets"

_HEAD, _TAIL = SECRET_MARK.split("{name}")
_MARK = re.compile(f"{re.escape(_HEAD)}([A-Za-z0-9_.-]+){re.escape(_TAIL)}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_MAX_BYTES = 64 * 1024

_SCRIPT = r"""#!/bin/sh
# Puts the secrets beside this file into variables and in place of their marks, then becomes the command.
secrets=${0%/*}/secrets

read_secret() {
    if [ ! -r "$1" ]; then
        echo "with-secrets: the secret ${1##*/} is not there or may not be read" >&2
        exit 125
    fi
    secret=$(cat "$1" && echo x) || exit 125  # the x keeps newlines at the end
    secret=${secret%?}
}

for file in "$secrets"/env/*; do
    if [ -e "$file" ]; then
        read_secret "$file"
        export "${file##*/}=$secret"
    fi
done

left=$#
while [ "$left" -gt 0 ]; do
    done_part=
    rest=$1
    while :; do
        case $rest in
        *HEAD*TAIL*)
            done_part=$done_part${rest%%HEAD*}
            rest=${rest#*HEAD}
            read_secret "$secrets/${rest%%TAIL*}"
            done_part=$done_part$secret
            rest=${rest#*TAIL}
            ;;
        *) break ;;
        esac
    done
    shift
    set -- "$@" "$done_part$rest"
    left=$((left - 1))
done
unset secrets secret file left done_part rest

[ $# -gt 0 ] || set -- "$(command -v bash || echo /bin/sh)"  # a shell without a command
exec "$@"
"""


def needs_wrapper(plan: RunPlan) -> bool:
    """True when the command must be started through ``with-secrets``."""
    return any(_HEAD in token for token in plan.argv) or any(s.spec_key is None for s in plan.secrets)


def masked(argv: Sequence[str]) -> tuple[str, ...]:
    """``argv`` for the eyes: ``***`` in place of each mark."""
    return tuple(_MARK.sub(MASK, token) for token in argv)


def wrapped(plan: RunPlan, input_dir: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command that the engine is told to run. ``input_dir`` is the input folder as the process sees it."""
    if not needs_wrapper(plan):
        return tuple(argv)
    return ("/bin/sh", f"{input_dir}/{WRAPPER}", *argv)


def write_secrets(plan: RunPlan, run_dir: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Writes the plan's secrets and the wrapper into ``<run_dir>/input/``; gives their values, for redaction.

    Makes the input folder in any case. Idempotent: a literal that the stored plan no longer holds is kept as an
    earlier call wrote it. Nothing is written when one secret is missing.

    Raises:
        UserFilesError: a variable that is not set, a file that is not there, a value no process can be given.
    """
    input_dir = run_dir / INPUT_DIR
    values = {source.name: _resolve(source, input_dir, plan, environ) for source in plan.secrets}
    unknown = {name for token in plan.argv for name in _MARK.findall(token)} - set(values)
    if unknown:
        raise UserFilesError(f'the command names the secret "{min(unknown)}", which nothing defines')
    input_dir.mkdir(parents=True, exist_ok=True)
    if not plan.secrets:
        return ()
    folder = input_dir / SECRETS_DIR
    owner = _owner(plan)
    for directory in (folder, folder / "env"):
        directory.mkdir(mode=0o700, exist_ok=True)
        _give(directory, owner)
    for source in plan.secrets:
        _write(folder / source.name, values[source.name], owner)
        if source.variable is not None:
            _write(folder / "env" / source.variable, values[source.name], owner)
    private = private_spec(plan, values)
    if private is not None and plan.spec is not None:
        place = input_dir / SECRET_SPEC_DIR
        place.mkdir(mode=0o700, exist_ok=True)
        _give(place, owner)
        _write(place / plan.spec.file_name, private, owner)
    wrapper = input_dir / WRAPPER
    with naming(wrapper):
        wrapper.write_text(_SCRIPT.replace("HEAD", _HEAD).replace("TAIL", _TAIL), encoding="utf-8")
    wrapper.chmod(0o755)
    return tuple(dict.fromkeys(value for value in values.values() if value))


def stored_secrets(plan: RunPlan, run_dir: Path) -> tuple[str, ...] | None:
    """The values that ``write_secrets`` wrote, for whoever goes on with the run; None when one of them is gone."""
    folder = run_dir / INPUT_DIR / SECRETS_DIR
    try:
        values = [os.fsdecode((folder / source.name).read_bytes()) for source in plan.secrets]
    except OSError:
        return None
    return tuple(dict.fromkeys(value for value in values if value))


def remove_secrets(run_dir: Path) -> None:
    """Deletes the secrets of a run that is over. Idempotent; the rendered spec stays."""
    shutil.rmtree(run_dir / INPUT_DIR / SECRETS_DIR, ignore_errors=True)


def private_spec(plan: RunPlan, values: Mapping[str, str]) -> str | None:
    """The rendered spec with its secrets set to ``values`` (by the secret's name); None when it takes none.

    Raises:
        UserFilesError: the spec has something else in that place.
    """
    from taorunner.specs.places import SpecProblemError
    from taorunner.specs.yaml_spec import set_value

    wanted = {source.spec_key: values[source.name] for source in plan.secrets if source.spec_key is not None}
    if not wanted or plan.spec is None:
        return None
    text = plan.spec.text
    for key, value in wanted.items():
        try:
            text = set_value(text, key, value)
        except SpecProblemError as error:
            told = error.to_finding()
            raise UserFilesError(f'the spec cannot take "{key}": {told.message}', hint=told.hint) from None
    return text


def _resolve(source: SecretSource, input_dir: Path, plan: RunPlan, environ: Mapping[str, str]) -> str:
    if not _NAME.match(source.name) or (source.variable is not None and not _VARIABLE.match(source.variable)):
        name = source.variable if source.variable is not None else source.name
        raise UserFilesError(f'"{name}" is not a name of a variable', hint="letters, digits and _")
    kind, _, what = source.origin.partition(":")
    if kind == "env":
        value = environ.get(what)
        if value is None:
            raise UserFilesError(
                f'the secret "{_called(source)}" should come from the variable "{what}", which is not set',
                hint=f"export {what}=…",
            )
    elif kind == "file":
        value = _read_file(source, secret_file(source.origin, plan.workspace))
    elif kind == "literal":
        value = what or _written_before(source, input_dir)
    else:
        raise UserFilesError(
            f'the secret "{_called(source)}" has no source that is known',
            hint="env:NAME, file:PATH, or the text itself",
        )
    if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > _MAX_BYTES:
        raise UserFilesError(f'the secret "{_called(source)}" is too long, or holds a zero byte')
    return value


def _read_file(source: SecretSource, path: Path) -> str:
    """Without the newline at the end that every editor puts there."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserFilesError(
                f'the secret "{_called(source)}" should come from "{path}", which is not a file'
            )
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 2).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UserFilesError(
            f'the secret "{_called(source)}" should come from "{path}": {(error.strerror or str(error)).lower()}',
            hint=f"write it there, with mode 0600: chmod 600 {path}",
        ) from error
    return text.removesuffix("\n").removesuffix("\r")


def _written_before(source: SecretSource, input_dir: Path) -> str:
    try:
        return os.fsdecode((input_dir / SECRETS_DIR / source.name).read_bytes())
    except OSError:
        return ""


def _called(source: SecretSource) -> str:
    return source.variable or source.name


def _owner(plan: RunPlan) -> tuple[int, int] | None:
    """Whom the files must belong to so that the process can read them; None for ourselves."""
    user, _, group = (plan.options.user or "").partition(":")
    if os.geteuid() != 0 or not user.isdecimal() or int(user) == 0:
        return None
    return int(user), int(group) if group.isdecimal() else -1


def _give(path: Path, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        with suppress(PermissionError):  # a file system without owners
            os.chown(path, *owner)


def _write(path: Path, value: str, owner: tuple[int, int] | None) -> None:
    path.unlink(missing_ok=True)  # never into a file, or a link, that somebody else made
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with naming(path), os.fdopen(handle, "wb") as file:
        file.write(os.fsencode(value))
    _give(path, owner)
