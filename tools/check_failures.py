"""Runs cases of failures through taorunner: is the reason that it gives the true one?

    python tools/check_failures.py FILE                 the wrong ones, then one line per area
    python tools/check_failures.py FILE -v              every case
    python tools/check_failures.py FILE -v --only vague every case with this verdict
    python tools/check_failures.py FILE --write FILE    the cases with what taorunner says today

FILE is a JSON list of cases. ``kind`` is "run" (``lines`` are a container's console, ``status`` its status.json,
``run`` names network, action and release) or "engine" (``lines`` are an engine's refusal, ``asked`` names address and
image).

A case is right when every list of ``must_say`` has one alternative in reason and hint, without regard to case, and none
of ``must_not_say`` is there; wrong when one of ``must_not_say`` is there; else vague.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from taorunner.contracts import Contract
from taorunner.engine.refusals import Asked, translate
from taorunner.errors import TaorunnerError
from taorunner.events import RunState
from taorunner.planning.inputs.workspace_networks import Networks
from taorunner.progress.status_json import parse_line
from taorunner.progress.tracker import Tracker
from taorunner.progress.verdict import judge

VERDICTS = ("right", "vague", "wrong")
_STAND_IN = ("dino", "6.26.3")
"""Network and release for cases of networks or releases that the catalog does not have."""
_STARTED = datetime(2026, 3, 1, tzinfo=timezone.utc)
_EPOCHS = 10

Case = dict[str, Any]
"""One case as the file has it; written back with all its keys."""


@dataclass(frozen=True)
class Said:
    """What taorunner says of a case."""

    reason: str
    hint: str

    def holds(self, words: str) -> bool:
        """Whether ``words`` are in reason or hint, without regard to case."""
        return words.lower() in f"{self.reason} {self.hint}".lower()


@dataclass(frozen=True)
class Judged:
    """``forbidden`` are the words of ``must_not_say`` that were said; ``missing`` the lists of ``must_say`` without a
    match."""

    said: Said
    forbidden: list[str]
    missing: list[list[str]]

    @property
    def verdict(self) -> str:
        if self.forbidden:
            return "wrong"
        return "vague" if self.missing else "right"


def judge_case(case: Case) -> Judged:
    """What taorunner says of the case, and whether it is right. A crash of taorunner is an answer too."""
    try:
        said = _said_of_engine(case) if case["kind"] == "engine" else _said_of_run(case)
    except Exception as error:  # the table of all cases is wanted also when one of them crashes
        said = Said(f"CRASH {type(error).__name__}: {error}", "")
    forbidden = [words for words in case["must_not_say"] if said.holds(words)]
    missing = [group for group in case["must_say"] if not any(said.holds(words) for words in group)]
    return Judged(said, forbidden, missing)


def table(verdicts: dict[str, Counter[str]]) -> list[str]:
    """One line per area, sorted, and the sum as the last line."""
    total = sum(verdicts.values(), Counter[str]())
    rows = [*sorted(verdicts.items()), ("all", total)]
    return [
        f"{area:16} {count.total():4}  " + "  ".join(f"{verdict} {count[verdict]:3}" for verdict in VERDICTS)
        for area, count in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the cases with today's answers")
    parser.add_argument(
        "-v", dest="verbose", action="store_true", help="print every case, not only the wrong"
    )
    parser.add_argument("--only", choices=VERDICTS, help="print the cases with this verdict")
    asked = parser.parse_args()
    cases: list[Case] = json.loads(asked.file.read_text(encoding="utf-8"))
    verdicts: dict[str, Counter[str]] = {}
    for case in cases:
        judged = judge_case(case)
        case["today"] = {"reason": judged.said.reason, "hint": judged.said.hint}
        case["verdict_today"] = judged.verdict
        verdicts.setdefault(case["area"], Counter())[judged.verdict] += 1
        wanted = asked.verbose or judged.verdict == "wrong"
        if wanted and asked.only in (None, judged.verdict):
            _print(case["id"], judged)
    print()
    print("\n".join(table(verdicts)))
    if asked.write:
        asked.write.write_text(json.dumps(cases, indent=1, ensure_ascii=False), encoding="utf-8")


def _print(name: str, judged: Judged) -> None:
    print(f"{judged.verdict:5} {name}: {judged.said.reason} | {judged.said.hint}")
    if judged.forbidden:
        print("      must not say:", judged.forbidden)
    if judged.missing:
        print("      says none of:", judged.missing)


def _said_of_run(case: Case) -> Said:
    """Reads console and status.json with the real tracker, and judges as after a real run."""
    contract = _contract(case["run"])
    tracker = Tracker(contract, "r", _EPOCHS if contract.action == "train" else None)
    at = _STARTED
    for line in case["lines"]:
        at += timedelta(seconds=1)
        tracker.feed_console(line.encode() + b"\n", at)
    dated = ({"date": "3/1/2026", "time": "1:2:3", **record} for record in case["status"])
    records = (parse_line(json.dumps(record).encode()) for record in dated)
    tracker.feed_status([record for record in records if record is not None], at)
    tracker.flush(at)
    facts = replace(
        tracker.facts, exit_code=case["exit_code"], oom_killed=case["oom_killed"], artifact_fresh=False,
        host_path=lambda path: None,
    )  # fmt: skip
    verdict = judge(contract.verdict, facts)
    state = "" if verdict.state is RunState.FAILED else f"[{verdict.state}] "
    return Said(state + verdict.reason, verdict.hint or "")


def _contract(run: dict[str, str]) -> Contract:
    """The contract of the case's run, or of the nearest run that the catalog knows."""
    network, release = _STAND_IN
    for name, action, version in (
        (run["network"], run["action"], run["release"]),
        (run["network"], "train", run["release"]),
        (network, run["action"], release),
    ):
        try:
            return Networks().load(name).contract(action, version)
        except TaorunnerError:
            continue
    return Networks().load(network).contract("train", release)


def _said_of_engine(case: Case) -> Said:
    asked = case["asked"]
    error = translate("\n".join(case["lines"]), Asked(asked.get("address"), asked.get("image")))
    return Said(error.message, error.hint or "")


if __name__ == "__main__":
    main()
