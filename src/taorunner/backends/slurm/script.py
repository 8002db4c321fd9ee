"""Renders the two scripts of a run: ``run.sbatch``, which Slurm starts once, and ``node.sh``, which ``srun`` starts on
each node. Pure.

``run.sbatch`` keeps the truth about the run in files of its folder, because a scheduler may forget a job, or start a
finished one again: ``slurm.jsonl`` with a line per event, and at the end ``exit`` with the exit code. Whatever a user
can choose is quoted for the shell, or is an argument of ``sbatch``; ``#SBATCH`` lines hold plain words only.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from taorunner.backends.contract import Follows
from taorunner.values.value import Value, field

CONSOLE, EVENTS, EXIT, STOP = "console.log", "slurm.jsonl", "exit", "stop"
MESSAGES = "slurm.out"
"""What Slurm, srun and the container runtime say; the run's own output is in ``CONSOLE``."""
BATCH_SCRIPT, NODE_SCRIPT = "run.sbatch", "node.sh"
INTERRUPTED = 124
"""The exit code of a run that ended with 0 when its time was over, as ``timeout`` has it."""
STOPPED = 143


class Job(Value):
    """All that the scripts are made of. Paths are as the nodes see them.

    ``directives`` are ``#SBATCH`` lines in plain words, ``arguments`` further words of the ``sbatch`` line.
    ``step_options`` are those of ``srun``; ``launcher`` starts the container and may name variables of the shell, so it
    is quoted already. ``gpus`` are those of a node. ``checkpoints`` are patterns below ``results``. ``secrets`` is a
    folder that is removed at the end, where there is another copy of it. ``follows`` is the job that has to succeed
    before; ``since`` are the folders of the runs that make its models, "" for any time, and ``inputs`` the specs in
    which the models are named.
    """

    run_id: str
    folder: str
    directives: tuple[str, ...]
    arguments: tuple[str, ...]
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    setup: tuple[str, ...] = ()
    nodes: int = 1
    gpus: int = 0
    owns_nodes: bool = False
    requeues: int = 0
    umask: str = "077"
    results: str = ""
    checkpoints: tuple[str, ...] = ()
    step_options: tuple[str, ...] = ()
    launcher: str = ""
    before: tuple[str, ...] = ()
    follows: Follows | None = None
    since: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    secrets: str = ""


def console_of(rank: int) -> str:
    """The log of a node, by its place in the allocation."""
    return f"console.{rank}.log" if rank else CONSOLE


def job_name(run_id: str) -> str:
    return f"tr-{run_id}"


def sbatch_argv(job: Job, script: str | None = None) -> list[str]:
    """The command that submits it; without ``script`` it is read from standard input."""
    argv = sbatch_line(job.arguments)
    return argv if script is None else [*argv, script]


def sbatch_line(arguments: Sequence[str]) -> list[str]:
    return ["sbatch", "--parsable", "--export=NONE", *arguments]


def batch_script(job: Job) -> str:
    options = ["--export=ALL", "--kill-on-bad-exit=1", "--wait=60", *job.step_options]
    setup = "".join(f"{line}\n" for line in job.setup)
    return _BATCH.format(
        directives=directive_lines(job, job_name(job.run_id), job.run_id),
        folder=shlex.quote(job.folder),
        results=shlex.quote(job.results),
        newest=_newest(job.checkpoints),
        secrets=f"    rm -rf {shlex.quote(job.secrets)}\n" if job.secrets else "",
        models=_models(job),
        setup=f"# the cluster's own lines\n{setup}" if setup else "",
        several=_SEVERAL.format(gpus=job.gpus) if job.nodes > 1 else "",
        logs=_LOGS.format(names=" ".join(map(console_of, range(job.nodes)))) if job.step_options else "",
        step=shlex.join(["srun", *options, "/bin/sh"]),
        directly=_FIRST_END if job.nodes > 1 else "" if job.step_options else _DIRECTLY,
        requeues=job.requeues,
        umask=job.umask,
        interrupted=INTERRUPTED,
        stopped=STOPPED,
    )


def directive_lines(job: Job, name: str, what: str) -> str:
    """The ``#SBATCH`` lines of a job of this name."""
    directives = [
        f"--job-name={name}",
        f"--comment=taorunner:{what}",
        f"--nodes={job.nodes}",
        "--ntasks-per-node=1",
        *job.directives,
        *([f"--dependency=afterok:{job.follows.id}", "--kill-on-invalid-dep=yes"] if job.follows else []),
        "--open-mode=append",
        "--requeue" if job.requeues else "--no-requeue",
    ]
    return "\n".join(f"#SBATCH {line}" for line in directives)


def _models(job: Job) -> str:
    """Puts the models that the runs before have made into the command and the specs, once."""
    if job.follows is None or not (job.follows.models or job.follows.written):
        return ""
    files = " ".join(f'"$D"/{NODE_SCRIPT}' if one == NODE_SCRIPT else shlex.quote(one) for one in job.inputs)
    steps = []
    for model, since in zip(job.follows.models, job.since, strict=True):
        fills = "".join(
            f"fill {shlex.quote(text)} {_form(form)}\n" for text, form in model.texts
        )  # the words have been chosen so that nothing is to be quoted for sed or the shell
        newer = shlex.quote(f"{since}/{BATCH_SCRIPT}") if since else "''"
        steps.append(
            f"model=$(choose {newer} {shlex.quote(model.average)} {_newest(model.patterns)})\n"
            f'[ -n "$model" ] || give_up "no_model:{model.action}"\n'
            f'stem=${{model##*/}} stem=${{stem%.*}}\nnote "reads:$model"\n{fills}'
        )
    written = "".join(f"make_way {shlex.quote(name)}\n" for name in job.follows.written)
    aside = (
        'mv -T -- "$R/$1" "$R/$1.$(date +%Y%m%d-%H%M%S)"'
        if job.follows.overwrite
        else 'give_up "in_the_way:$1"'
    )
    return _CHOOSE.format(files=files, steps="".join(steps), written=written, aside=aside, node=NODE_SCRIPT)


def _form(form: str) -> str:
    """``e1/{path}`` as a word of the shell."""
    return '"' + form.replace("{path}", "$model").replace("{stem}", "$stem") + '"'


def node_script(job: Job) -> str:
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(job.env.items()))
    guard = _GUARD.format(gpus=job.gpus, refuses="no" if job.owns_nodes else "yes") if job.gpus else ""
    inner = shlex.join(["/bin/sh", "-c", f'{guard}exec "$@"', "run"]) if guard else ""
    words = [job.launcher, inner, shlex.join(job.command)]
    before = "".join(f"{line}\n" for line in job.before)
    return _NODE.format(
        console=(_RANK if job.nodes > 1 else _CONSOLE).format(folder=shlex.quote(job.folder)),
        exports=exports,
        before=before,
        command=" \\\n    ".join(word for word in words if word),
    )


def _newest(patterns: Sequence[str]) -> str:
    """Words of the shell that match the checkpoints. Only the stars of a pattern are left unquoted."""
    return " ".join('"$R"/' + _glob(pattern) for pattern in patterns)


def _glob(pattern: str) -> str:
    parts, plain = [], ""
    for character in pattern:
        if character in "*?":
            parts += [shlex.quote(plain) if plain else "", character]
            plain = ""
        else:
            plain += character
    return "".join([*parts, shlex.quote(plain) if plain else ""])


_BATCH = r"""#!/bin/bash
{directives}
# Written by taorunner. Runs one step on all nodes and ends with its exit code.
why= signalled=
job=$SLURM_JOB_ID  # a task of an array by its index: the number of the last task stands for the whole array
[ -z "${{SLURM_ARRAY_TASK_ID:-}}" ] || job=${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID
trap 'signalled=1 why=${{why:-limit}}; end_step' USR2  # before the time limit, and when the run is stopped
trap 'signalled=1 why=${{why:-term}}; end_step' TERM  # preemption, scancel, or the limit itself
end_step() {{
    [ -n "${{child:-}}" ] || return 0
    note "near_the_end:$why"
    if [ -n "${{direct:-}}" ]; then kill -TERM "$child" 2>/dev/null; return 0; fi
    for _ in 1 2 3 4 5 6 7 8 9 10; do  # the step may not have begun yet
        scancel --signal=TERM "$job.0" 2>/dev/null && return 0
        kill -0 "$child" 2>/dev/null || return 0
        sleep 0.5
    done
}}
set -u
umask {umask}
D={folder}
exec >>"$D/slurm.out" 2>&1
chmod "$(printf %o $((0666 & ~$(umask))))" "$D/slurm.out"  # Slurm made it
R={results}
attempt=${{SLURM_RESTART_COUNT:-0}}
note() {{
    printf '{{"at":"%s","attempt":%s,"job":"%s","node":"%s","event":"%s"}}\n' \
        "$(date -u +%FT%T.%3NZ)" "$attempt" "$job" "$SLURMD_NODENAME" "$1" >>"$D/slurm.jsonl"
}}
finish() {{
    printf '%s %s\n' "$1" "$(date -u +%FT%T.%3NZ)" >"$D/exit.part" && mv "$D/exit.part" "$D/exit"
{secrets}    exit "$1"
}}
await() {{  # the exit code of what was started last; every signal ends a wait
    child=$!
    [ -z "$why" ] || end_step
    while :; do
        signalled=
        wait "$child"
        rc=$?
        [ -n "$signalled" ] || break
    done
}}
newest() {{  # name, size and time of the newest checkpoint
    local file found=
    shopt -s nullglob globstar
    for file in {newest}; do
        if [ ! -L "$file" ] && [ -s "$file" ] && [ ! "$found" -nt "$file" ]; then found=$file; fi
    done
    [ -z "$found" ] || stat -c '%n %s %Y' "$found"
}}
# A scheduler that lost its memory starts a finished run again; its first end stands.
if [ -s "$D/exit" ]; then
    read -r rc _ <"$D/exit"
    note "not_started_again:$rc"
    exit "$rc"
fi
if [ -e "$D/stop" ]; then note stopped; finish {stopped}; fi
if [ "$attempt" -gt {requeues} ]; then note too_many_attempts; finish {interrupted}; fi
note started
{models}before=$(newest)
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))  # two jobs of one node must not share a port
export MASTER_ADDR MASTER_PORT
{several}[ -z "${{SLURM_CPUS_PER_TASK:-}}" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
export NVIDIA_VISIBLE_DEVICES=${{SLURM_JOB_GPUS:-all}}
{setup}# --export=NONE of sbatch would reach the step, too
{logs}said=$(wc -c <"$D/slurm.out")
{step} "$D/node.sh" &
await
{directly}note "ended:$rc:$why"
[ ! -e "$D/stop" ] || finish "$rc"
if [ "$why" = limit ]; then
    after=$(newest)
    if [ "$after" = "$before" ]; then echo >>"$D/no_checkpoint"; else rm -f "$D/no_checkpoint"; fi
    if [ -s "$D/no_checkpoint" ] && [ "$(wc -l <"$D/no_checkpoint")" -ge 2 ]; then
        note no_checkpoint
    elif [ "$attempt" -lt {requeues} ]; then
        note requeue
        scontrol requeue "$job" && {{ sleep 120; exit 0; }}
    fi
    note limit
    [ "$rc" -ne 0 ] || rc={interrupted}
fi
[ "$why" != term ] || exit "$rc"  # Slurm says whether it is over
finish "$rc"
"""

_CHOOSE = r"""# Puts the models of the runs before it where their stand-ins are. Odd names are passed over. A moving
# average counts only where there are no other weights.
choose() {{
    local file found= spare= after=$1 average=$2
    shift 2
    for file; do
        case ${{file#"$R"/}} in *[!A-Za-z0-9._/+-]*) continue ;; esac
        if [ -L "$file" ] || [ ! -f "$file" ] || [ ! -s "$file" ]; then continue; fi
        if [ -n "$after" ] && [ ! "$file" -nt "$after" ]; then continue; fi
        case ${{file##*/}} in
        $average) [ "$spare" -nt "$file" ] || spare=$file ;;
        *) [ "$found" -nt "$file" ] || found=$file ;;
        esac
    done
    found=${{found:-$spare}}
    printf %s "${{found#"$R"/}}"
}}
give_up() {{
    note "$1"
    note "ended:1:"
    finish 1
}}
fill() {{  # in the files, and in the names of what is written
    local file text
    for file in {files}; do
        [ -f "$file" ] || continue
        text=$(cat "$file"; printf x)
        text=${{text//"$1"/"$2"}}
        cp -p "$file" "$file.part" && printf %s "${{text%x}}" >"$file.part" && mv -f "$file.part" "$file"
    done
    fills+=("$1" "$2")
}}
make_way() {{
    local at name=$1
    for ((at = 0; at < ${{#fills[@]}}; at += 2)); do name=${{name//"${{fills[at]}}"/"${{fills[at + 1]}}"}}; done
    set -- "$name"
    if [ -e "$R/$1" ] || [ -L "$R/$1" ]; then {aside}; fi
}}
fills=()
if [ ! -e "$D/models" ]; then
shopt -s nullglob globstar
{steps}{written}: >"$D/models"
fi
"""

_DIRECTLY = r"""# A controller that lost its memory gives a running job no step. On one node none is needed.
if [ "$rc" -ne 0 ] && [ -z "$why" ] && tail -c "+$((said + 1))" "$D/slurm.out" | grep -q "Unable to confirm alloc"; then
    note without_step
    direct=yes
    /bin/sh "$D/node.sh" &
    await
fi
"""

_FIRST_END = r"""# srun ends the others of a node that fails with SIGTERM, and gives the largest code: 143.
if [ "$rc" -gt 128 ] && [ -z "$why" ]; then
    first=$(tail -c "+$((said + 1))" "$D/slurm.out" | grep -m 1 -E "^srun: error: [^ ]+: tasks? [-0-9,]+: ")
    case ${first#*: task*: } in
    "Exited with exit code "[1-9]*) rc=${first##* } ;;
    Aborted*) rc=134 ;;
    "Bus error"*) rc=135 ;;
    "Floating point exception"*) rc=136 ;;
    Killed*) rc=137 ;;
    "Segmentation fault"*) rc=139 ;;
    esac
fi
"""

_LOGS = """for log in {names}; do : >>"$D/$log"; done  # each is mounted
"""

_SEVERAL = """export WORLD_SIZE=$SLURM_JOB_NUM_NODES NUM_GPU_PER_NODE={gpus}  # nodes, as TAO reads it
"""

_NODE = r"""#!/bin/sh
# Written by taorunner. srun starts it once on each node.
set -u
{console}# Lightning would take over from these
unset SLURM_NTASKS SLURM_NPROCS SLURM_PROCID SLURM_LOCALID RANK LOCAL_RANK
export USER="${{USER:-$(id -un)}}" LOGNAME="${{LOGNAME:-$(id -un)}}"
[ -z "${{SLURM_STEP_GPUS:-}}" ] || export NVIDIA_VISIBLE_DEVICES="$SLURM_STEP_GPUS"
{exports}{before}exec {command}
"""

_CONSOLE = r"""exec >>{folder}/console.log 2>&1
"""

_RANK = r"""export NODE_RANK="$SLURM_NODEID"  # known only here: in the batch script it is always 0
if [ "$NODE_RANK" = 0 ]; then console=console.log; else console=console.$NODE_RANK.log; fi
exec >>{folder}/"$console" 2>&1
"""

_GUARD = r"""if command -v nvidia-smi >/dev/null 2>&1; then
    seen=$(nvidia-smi -L | grep -c "^GPU ")
    if [ "$seen" -le {gpus} ] || [ {refuses} = no ]; then
        unset CUDA_VISIBLE_DEVICES
    else
        echo "taorunner: {gpus} GPUs were asked for, and $seen are seen:" \
            "this cluster shows all GPUs of a node to every job" >&2
        exit 125
    fi
fi
"""
