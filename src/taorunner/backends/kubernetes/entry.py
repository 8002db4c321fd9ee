"""Renders the script that a pod runs: it starts the command once, and keeps the truth about it in the run's folder.

The cluster may forget a Job, and may start its pod again after a node was lost or the pod was evicted. So the script
writes a line for each start and end, and at the end the exit code; a run that has one is not started again. Pure.
"""

from __future__ import annotations

import shlex

from taorunner.values.value import Value

STATE_INSIDE = "/taorunner/state"
"""Where the pod sees the folder in which it writes about the run."""
CONSOLE, EVENTS, EXIT, STOP, TOKEN = "console.log", "events.jsonl", "exit", "stop", "run"
INTERRUPTED = 124
STOPPED = 143
WRONG_PLACE = "does not hold this workspace"


class Entry(Value):
    """``place`` says in words where the claim should hold the workspace. ``requeues`` bounds the further starts."""

    run_id: str
    place: str
    requeues: int
    umask: str = "077"


def entry_script(entry: Entry) -> str:
    return _SCRIPT.format(
        state=STATE_INSIDE,
        run=shlex.quote(entry.run_id),
        place=shlex.quote(f"{entry.place} {WRONG_PLACE}"),
        requeues=entry.requeues,
        umask=entry.umask,
        interrupted=INTERRUPTED,
        stopped=STOPPED,
    )


_SCRIPT = r"""# Written by taorunner. Starts the command once, and writes what becomes of it into the run's folder.
set -u
umask {umask}
D={state}
rank=${{NODE_RANK:-0}}
if [ "$rank" = 0 ]; then suffix=; else suffix=.$rank; fi
refuse() {{
    echo "taorunner: $1" >&2
    exit 125
}}
now() {{ date -u +%Y-%m-%dT%H:%M:%SZ; }}
note() {{
    printf '{{"at":"%s","attempt":%s,"pod":"%s","node":"%s","event":"%s"}}\n' \
        "$(now)" "$attempt" "$POD_NAME" "$NODE_NAME" "$1" >>"$D/events.jsonl$suffix"
}}
finish() {{
    printf '%s %s\n' "$1" "$(now)" >"$D/exit.part$suffix" && mv "$D/exit.part$suffix" "$D/exit$suffix"
    exit "$1"
}}
[ "$(cat "$D/run" 2>/dev/null)" = {run} ] || refuse {place}
attempt=$(grep -c '"event":"started"' "$D/events.jsonl$suffix" 2>/dev/null) || attempt=0
: >>"$D/console.log$suffix" || refuse "the run's folder on the claim cannot be written as user $(id -u)"
if [ -s "$D/exit$suffix" ]; then  # started again although it had ended: its first end stands
    read -r rc _ <"$D/exit$suffix"
    note "not_started_again:$rc"
    exit "$rc"
fi
if [ -e "$D/stop" ]; then note stopped; finish {stopped}; fi
if [ "$attempt" -gt {requeues} ]; then note too_many_attempts; finish {interrupted}; fi
why= child=
trap 'why=term; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
# A fifo instead of a pipeline, whose exit code and process id would be those of tee. It is on the pod's own disk,
# because a claim may be a bucket, which has no fifos.
pipes=$(mktemp -d) && mkfifo "$pipes/console" || refuse "no fifo can be made in ${{TMPDIR:-/tmp}}"
pipe=$pipes/console
note started
tee -a "$D/console.log$suffix" <"$pipe" &  # for the claim, and for kubectl logs
tee=$!
"$@" >"$pipe" 2>&1 &
child=$!
[ -z "$why" ] || kill -TERM "$child"
while :; do  # every signal ends a wait
    wait "$child"
    rc=$?
    kill -0 "$child" 2>/dev/null || break
done
{{ sleep 5; kill "$tee"; }} 2>/dev/null &  # a process that was left behind may hold the other end
guard=$!
wait "$tee"
kill "$guard" 2>/dev/null
rm -rf "$pipes"
note "ended:$rc:$why"
[ ! -e "$D/stop" ] || finish "$rc"
if [ "$why" = term ]; then  # an eviction: Kubernetes says whether it is over
    [ "$rc" -ne 0 ] || rc={stopped}
    exit "$rc"
fi
finish "$rc"
"""
