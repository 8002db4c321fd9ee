"""Every code with what is said with it, as ``src/taorunner/manual/codes.json`` has it.

Messages come from the source, causes of failures from their tables, and what neither has from ``explanations.yml``,
which also has the examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from code_scan import PACKAGE, Place, Said, check_names, places
from ruamel.yaml import YAML

from taorunner.evaluation.predictions import _SAID as PREDICTIONS_LEFT_OUT
from taorunner.manual.codes import Explanation, from_json
from taorunner.progress.causes.table import CAUSES
from taorunner.runs.rerun.check import KINDS as RERUN_KINDS

WRITTEN = PACKAGE / "manual" / "explanations.yml"
AREAS: Mapping[str, str] = {
    "project": "project files", "planning": "specs, data and settings", "specs": "specs, data and settings",
    "sweeps": "sweeps", "datasets": "datasets", "evaluation": "scores", "pretrained": "pretrained weights",
    "images": "images", "engine": "container engine", "backends": "clusters and engines", "doctor": "this machine",
    "gpu": "GPUs", "scheduling": "queue and GPUs", "runs": "runs", "progress": "runs", "events": "runs",
    "handover": "exported models", "importers": "imports", "shell": "shells", "tracking": "tracking", "cli": "the command line",
    "errors": "the command line", "yaml_reader": "project files", "targets": "clusters and engines",
    "disk_room": "this machine", "state_files": "this machine", "console": "runs", "catalog": "networks",
    "api": "the command line", "reports": "runs", "contained_files": "project files",
}  # fmt: skip
"""What the first folder of a module stands for."""
_OF_RUNS = frozenset({"progress", "runs", "console", "backends", "engine", "events"})
_CLASS_CODES = {"usage": "error", "machine": "error", "internal": "error"}
_ORDER = ("error", "warning", "info", "ok", "notice", "")
_MOST_MESSAGES = 6


def entries() -> list[dict[str, Any]]:
    """Findings by code, then failures by code."""
    written = YAML(typ="safe").load(WRITTEN)
    found: dict[str, list[Place]] = {}
    for place in places():
        if place.code not in PREDICTIONS_LEFT_OUT or not place.module.startswith("evaluation/"):
            found.setdefault(place.code, []).append(place)
    for place in _composed():
        found.setdefault(place.code, []).append(place)
    causes = {cause.code for cause in CAUSES}
    findings = {code: rows for code, rows in found.items() if code not in causes or _is_finding(rows)}
    made = [_finding(code, findings[code], written.get(code, {})) for code in sorted(findings)]
    return made + [_failure(code, written.get(code, {})) for code in sorted(causes)]


def explanations() -> Iterator[Explanation]:
    return map(from_json, entries())


def text() -> str:
    """The file, one code a line."""
    return "[\n" + ",\n".join(json.dumps(one, ensure_ascii=False) for one in entries()) + "\n]\n"


def _is_finding(rows: Iterable[Place]) -> bool:
    """Whether a code of the causes is one of findings as well: said of files or of a machine, not of a run."""
    return any(re.split(r"[/.]", row.module)[0] not in _OF_RUNS for row in rows)


def _composed() -> Iterator[Place]:
    """Codes that the program puts together."""
    for word, (said, hint) in PREDICTIONS_LEFT_OUT.items():
        yield _place(f"prediction-{word}", "evaluation/", "warning", f"N predictions left out: {said}", hint)
    for which in ("earlier", "later"):
        yield _place(
            f"prediction-{which}", "evaluation/", "warning", f"N files of an {which} inference left out", ""
        )
    for word, message in (("unreadable", "N masks left out: they cannot be decoded, or have more than 89 million pixels"),
                          ("size", "N masks in another size than the truth: stretched to it")):  # fmt: skip
        yield _place(
            f"mask-{word}", "evaluation/", "warning" if word == "unreadable" else "info", message, ""
        )
    for word, message in (("reduced", "outlines with other than four corners became the smallest rectangle around them"),
                          ("boxes", "texts without an outline have that of their box"),
                          ("difficult", 'texts that are marked as difficult are written as "###", without what they say')):  # fmt: skip
        yield _place(f"texts-{word}", "datasets/", "warning", f"{message}: N texts", "")
    for lacks, has in (("mask", "image"), ("picture", "mask")):
        shown = "mask" if lacks == "mask" else "image"
        yield _place(
            f"{lacks}-missing", "datasets/", "error", f"no {shown} has the same name (of the {has})", ""
        )
    for kind in RERUN_KINDS:
        yield _place(
            f"rerun-{kind}",
            "cli/",
            "error",
            f"{kind}: what is different now",
            "--allow it, or make it as it was",
        )
    for name in check_names():
        yield _place(
            f"{name}-failed",
            "doctor/",
            "warning",
            f'the check "{name}" could not be made, or took too long',
            "",
        )
        yield _place(name, "doctor/", "ok", "", "")
    for code, severity in _CLASS_CODES.items():
        yield _place(code, "cli/", severity, "", "")


def _place(code: str, module: str, severity: str, message: str, hint: str) -> Place:
    return Place(code, module, (Said(severity, message, hint),))


def _finding(code: str, rows: list[Place], written: Mapping[str, Any]) -> dict[str, Any]:
    said = list(dict.fromkeys((one.message, one.hint) for row in rows for one in row.said if one.message))
    severities = sorted({one.severity for row in rows for one in row.said if one.severity}, key=_ORDER.index)
    areas = [AREAS[re.split(r"[/.]", row.module)[0]] for row in rows]
    return {
        "code": code, "kind": "finding", "area": areas[0], "severities": severities,
        "about": written.get("about"), "says": _shortened(said), "example": _example(written),
    }  # fmt: skip


def _shortened(said: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each message once, with the longest of its hints; not more than a reader takes in."""
    best: dict[str, str] = {}
    for message, hint in said:
        if len(hint) >= len(best.get(message, "")):
            best[message] = hint
    return list(best.items())[:_MOST_MESSAGES]


def _failure(code: str, written: Mapping[str, Any]) -> dict[str, Any]:
    rows = [cause for cause in CAUSES if cause.code == code]
    said = dict.fromkeys((_filled(one.reason), _filled(one.hint)) for one in rows)
    return {
        "code": code, "kind": "failure", "area": "a failed run", "severities": [],
        "about": written.get("about"), "says": list(said), "example": None,
    }  # fmt: skip


def _filled(template: str) -> str:
    """A template of a cause with words in capitals."""
    words = {
        "host": "the network", "path": "PATH", "what": "NAME", "at_line": "", "on_path": ' on "PATH"',
        "of_path": ': "PATH"', "at_path": ' at "PATH"', "at_epoch": "", "batch_key": "",
    }  # fmt: skip
    one_of_both = template.replace("{what}{path}", "{path}")
    return " ".join(one_of_both.format(**words).split())


def _example(written: Mapping[str, Any]) -> dict[str, str] | None:
    example = written.get("example")
    if example is None:
        return None
    file = example.get("file", "")
    return {
        "text": example.get("text", f"`{file}`"), "file": file,
        "wrong": example["wrong"].rstrip(), "right": example["right"].rstrip(),
    }  # fmt: skip
