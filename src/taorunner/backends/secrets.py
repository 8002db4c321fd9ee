"""Passes secrets to the process through files with mode 0600 in the run's input folder.

A model key that a spec can hold is set in a private copy of the spec, so no command line shows it. Otherwise argv
holds placeholders. The shell script ``with-secrets`` in the input folder replaces the placeholders by the content of
the files, sets environment variables, and then executes the command. So no request, record, label or
``docker inspect`` output contains a secret.

The input folder is mounted read-only. With WORLD_SIZE set, TAO's entry point rewrites its spec in place; then the
script passes it a copy inside the container. Source: tao/pytorch.md section 2.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from taorunner.errors import UserFilesError
from taorunner.planning.checks.secret_exposure import PUBLIC_KEYS
from taorunner.planning.inputs.environment import secret_file
from taorunner.planning.model.plan import SECRET_MARK, SECRET_SPEC_DIR, RunPlan, SecretSource
from taorunner.state_files import Trust, read_state, write_new
from taorunner.targets import sees_host_paths
from taorunner.text import MASK

INPUT_DIR = "input"
WORLD_SIZE = "WORLD_SIZE"
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

copy=COPY
if [ -n "$copy" ]; then  # TAO is going to rewrite its spec
    copy=$(mktemp -d) && cp -R "${0%/*}/." "$copy" && chmod -R u+w "$copy" || exit 125
fi

left=$#
while [ "$left" -gt 0 ]; do
    done_part=
    rest=$1
    if [ -n "$copy" ]; then
        case $rest in "${0%/*}"/*) rest=$copy/${rest#"${0%/*}"/} ;; esac
    fi
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
unset secrets secret file left done_part rest copy

[ $# -gt 0 ] || set -- "$(command -v bash || echo /bin/sh)"  # a shell without a command
exec "$@"
"""


def needs_wrapper(plan: RunPlan) -> bool:
    """True when the command must be started through ``with-secrets``."""
    return (
        _rewrites_spec(plan)
        or any(_HEAD in token for token in plan.argv)
        or any(s.spec_key is None for s in plan.secrets)
    )


def shown_in_process_list(plan: RunPlan, secrets: Sequence[str]) -> str | None:
    """What to say of a secret that TAO takes on its command line only; None where none is there, or all are public.

    Source: tao/tensorflow.md section 3: TF1 reads its key from ``-k`` alone.
    """
    public = all(secret in PUBLIC_KEYS for secret in secrets)
    if public or not any(_HEAD in token for token in plan.argv):
        return None
    return (
        "TAO takes the key on its command line only: while it runs, every user of this machine can read it in the list "
        "of processes"
    )


def masked(argv: Sequence[str]) -> tuple[str, ...]:
    """``argv`` for display, with ``***`` in place of each placeholder."""
    return tuple(_MARK.sub(MASK, token) for token in argv)


def wrapped(plan: RunPlan, input_dir: str, argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that the engine starts. ``input_dir`` is the input folder as the process sees it."""
    if not needs_wrapper(plan):
        return tuple(argv)
    return ("/bin/sh", f"{input_dir}/{WRAPPER}", *argv)


def unwrapped(plan: RunPlan, command: Sequence[str]) -> tuple[str, ...]:
    """The ``argv`` that was passed to ``wrapped``, with ``***`` in place of each secret, for display."""
    return masked(command[2:] if needs_wrapper(plan) else command)


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
        raise UserFilesError(f'the command names the secret "{min(unknown)}", which is not defined')
    input_dir.mkdir(parents=True, exist_ok=True)
    owner = _owner(plan)
    for source in plan.secrets:
        _write(run_dir, f"{SECRETS_DIR}/{source.name}", values[source.name], owner)
        if source.variable is not None:
            _write(run_dir, f"{SECRETS_DIR}/env/{source.variable}", values[source.name], owner)
    private = private_spec(plan, values)
    if private is not None and plan.spec is not None:
        _write(run_dir, f"{SECRET_SPEC_DIR}/{plan.spec.file_name}", private, owner)
    if plan.secrets or needs_wrapper(plan):
        copy = "yes" if _rewrites_spec(plan) else ""
        script = _SCRIPT.replace("HEAD", _HEAD).replace("TAIL", _TAIL).replace("COPY", copy)
        write_new(run_dir, f"{INPUT_DIR}/{WRAPPER}", script.encode(), mode=0o755)
    return tuple(dict.fromkeys(value for value in values.values() if value))


def stored_secrets(plan: RunPlan, run_dir: Path) -> tuple[str, ...] | None:
    """The values that ``write_secrets`` wrote, for a later supervisor of the run; None when one is missing."""
    folder = run_dir / INPUT_DIR / SECRETS_DIR
    trust = _readers(plan)
    try:
        values = [os.fsdecode(read_state(folder / source.name, trust)) for source in plan.secrets]
    except OSError:
        return None
    return tuple(dict.fromkeys(value for value in values if value))


def change_private_spec(plan: RunPlan, run_dir: Path, change: Callable[[str], str]) -> None:
    """Rewrites the copy of the spec that contains a secret, where the run has one."""
    if plan.spec is None or all(source.spec_key is None for source in plan.secrets):
        return
    name = f"{SECRET_SPEC_DIR}/{plan.spec.file_name}"
    text = read_state(run_dir / INPUT_DIR / name, _readers(plan)).decode("utf-8", "surrogateescape")
    _write(run_dir, name, change(text), _owner(plan))


def remove_secrets(run_dir: Path) -> None:
    """Deletes the secrets of a run that is over. Idempotent; the rendered spec stays."""
    shutil.rmtree(run_dir / INPUT_DIR / SECRETS_DIR, ignore_errors=True)


def private_spec(plan: RunPlan, values: Mapping[str, str]) -> str | None:
    """The rendered spec with its secrets set to ``values`` (by the secret's name); None when it takes none.

    Raises:
        UserFilesError: the spec has something else in that place.
    """
    from taorunner.specs.editing.yaml_edit import set_value
    from taorunner.specs.syntax.text_position import SpecProblemError

    wanted = {source.spec_key: values[source.name] for source in plan.secrets if source.spec_key is not None}
    if not wanted or plan.spec is None:
        return None
    text = plan.spec.text
    for key, value in wanted.items():
        try:
            text = set_value(text, key, value)
        except SpecProblemError as error:
            finding = error.to_finding()
            raise UserFilesError(
                f'the spec cannot take "{key}": {finding.message}', hint=finding.hint
            ) from None
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
        value = what or _written_before(source, input_dir, plan)
    else:
        raise UserFilesError(
            f'the secret "{_called(source)}" has an unknown source',
            hint="env:NAME, file:PATH, or the text itself",
        )
    if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > _MAX_BYTES:
        raise UserFilesError(f'the secret "{_called(source)}" is too long, or holds a zero byte')
    return value


def _read_file(source: SecretSource, path: Path) -> str:
    """The content without the final newline that editors add."""
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


def _written_before(source: SecretSource, input_dir: Path, plan: RunPlan) -> str:
    try:
        return os.fsdecode(read_state(input_dir / SECRETS_DIR / source.name, _readers(plan)))
    except OSError:
        return ""


def _called(source: SecretSource) -> str:
    return source.variable or source.name


def _owner(plan: RunPlan) -> tuple[int, int] | None:
    """The (uid, gid) that must own the files so that the process can read them; None for the current user."""
    user, _, group = (plan.options.user or "").partition(":")
    if os.geteuid() != 0 or not user.isdecimal() or int(user) == 0:
        return None
    return int(user), int(group) if group.isdecimal() else -1


def _rewrites_spec(plan: RunPlan) -> bool:
    """On several nodes each needs its own copy, because all of them rewrite it."""
    if plan.spec is None or plan.resources.nodes > 1:
        return plan.spec is not None
    has_size = WORLD_SIZE in plan.env or any(source.variable == WORLD_SIZE for source in plan.secrets)
    return has_size and not sees_host_paths(plan.backend, plan.backend_options)


def _readers(plan: RunPlan) -> Trust:
    """The trusted owners of secret files: the current user, and the user that the process runs as."""
    ours, owner = Trust.of_caller(), _owner(plan)
    return ours if owner is None else Trust(ours.owners | {owner[0]})


def _write(run_dir: Path, name: str, value: str, owner: tuple[int, int] | None) -> None:
    """Writes ``name`` below the input folder. Its folders are accessible to their owner only."""
    data = os.fsencode(value)
    write_new(run_dir / INPUT_DIR, name, data, mode=0o600, folder_mode=0o700, owner=owner)
