"""The shapes of everything that is printed with ``--json``, and which command prints which.

They are additive: keys are added, none is removed or changes its meaning. A change that breaks a reader raises the
version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taorunner.console.shapes.notation import Note, references, schema_of
from taorunner.console.shapes.types import events_schema, finding_schema
from taorunner.events import RunState

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1

_SPEC = {
    "project": "str",
    "experiment": "str",
    "action": "str",
    "network": "str",
    "release": "str",
    "file": "str",
}
_WRITTEN = {"output": "str", "from": "str", "to": "str", "findings": ["@finding"]}
_KEY = {
    "key": "str", "type": "str?", "optional": "bool", "mandatory": "bool", "has_default": "bool", "default": "any",
    "min": "any", "max": "any", "options": ["any"], "since": "str?", "until": "str?", "releases": ["str"],
}  # fmt: skip
_EARLIER = {
    "experiment": "str", "kind": "training|records|model", "path": "str", "place": "str", "set_aside_at": "time",
    "bytes": "int", "run": "str?", "checkpoints": "int?", "best": {"*": "metric"},
}  # fmt: skip
_NETWORK = {
    "name": "str", "title": "str", "purpose": "str", "framework": "str", "trainable": "bool", "needs": ["str"],
    "optional": ["str"], "default_release": "str", "releases": ["str"], "traps": ["str"], "sources": ["str"],
    "file": "str?", "layout": "any", "actions": {"*": "@network_action"}, "by_release": {"*": {
        "images": {"*": "str?"}, "actions": ["str"], "unknown_actions": {"*": "str"},
    }},
}  # fmt: skip

_EVALUATION: Note = {
    "version": "int", "task": "boxes|masks|classes|pixels",
    "metrics": [{
        "name": "str", "value": "num", "direction": "up|down|none", "scale": "fraction|percent|own",
        "ranks": "bool",
    }],
    "protocol": {
        "name": "str", "text": "str", "library": "str", "version": "str", "settings": {"*": "any"},
        "min_score": "num?",
    },
    "data": {"name": "str", "folder": "str?", "split": "str?", "images": "int", "fingerprint": "str"},
    "overall": {"*": "num?"},
    "per_class": [{
        "name": "str", "truths": "int", "AP?": "num?", "AP50?": "num?", "best_f1?": "num?", "at_score?": "num?",
        "precision?": "num?", "recall?": "num?", "F1?": "num?", "IoU?": "num?",
    }],
    "errors": {"*": "num"},
    "confusion": {
        "classes": ["str"], "unit": "boxes|masks|images|pixels", "score": "num?", "matrix": [["int"]],
    },
    "pr": {"*": [["num"]]},
    "worst": [{
        "image": "str", "width": "int", "height": "int", "tp?": "int", "fp?": "int", "fn?": "int",
        "boxes?": [{"kind": "right|wrong|missed", "name": "str", "score": "num?", "box": ["num"]}],
        "truth?": "str?", "predicted?": "str?", "score?": "num?", "share?": "num",
    }],
    "label_suspects": [{
        "image": "str", "kind": "missing_annotation|wrong_label", "predicted": "str", "truth": "str?",
        "score": "num", "box": "@box?",
    }],
    "missing": "int", "findings": ["@finding"],
}  # fmt: skip

_PARTS: Mapping[str, Note] = {
    "run": {
        "id": "str", "short_id": "str", "project": "str", "experiment": "str", "action": "str", "backend": "str",
        "cluster": "str?", "nodes": "int?", "attempt": "int?", "made_from": "@origins?", "driver?": "str?",
        "gpu_models?": ["str"],
        "state": "|".join(state.value for state in RunState), "waiting": "str?", "reason": "str?", "exit_code": "int?",
        "image": "str?", "image_digest": "str?", "gpus": ["str"], "epoch": "int?", "epochs": "int?", "eta_s": "num?",
        "metrics": {"*": "metric"}, "best": {"*": {"value": "metric", "epoch": "int?"}}, "measured_by": "str?",
        "queued_at": "time?", "started_at": "time?", "finished_at": "time?", "directory": "str", "results": "str?",
        "checkpoints": [{"path": "str", "epoch": "int?", "bytes": "int"}],
        "outputs": [{"path": "str", "kind": "str", "bytes": "int", "sha256": "str?"}],
    },
    "network_action": {
        "group": "str", "image": "str?", "release": "str", "command": "@texts?",
        "spec": "@network_spec?", "gpus": "none|one|many?", "status_files": "@texts?", "checkpoints": "@texts?",
        "exit_code_lies": "bool?", "traps": "@texts?", "unknown": {"*": "str"}, "kpi": "@metrics?",
    },
    "network_spec": {
        "format": "yaml|prototxt", "names": ["str"], "required": "bool", "keys": {"*": "str"}, "knobs?": {"*": "str"},
    },
    "texts": ["str"],
    "metrics": [{
        "name": "str", "pattern": "str", "direction": "up|down|none", "scale": "fraction|percent|own", "ranks": "bool",
    }],
    "box": ["num"],
    "example": {"file": "str", "wrong": "str", "right": "str"},
    "spec_value": {"key": "str", "value": "any", "by": "str", "file": "str?", "line": "int?", "column": "int?"},
    "spec_values": ["@spec_value"],
    "origins": [{"run": "str", "path": "str?", "sha256": "str?"}],
}  # fmt: skip
"""Parts that several shapes have, or that may be null."""

_SHAPES: Mapping[str, Note] = {
    "findings": ["@finding"],
    "runs": ["@run"],
    "started": [{"run": "str"}],
    "evaluation": _EVALUATION,
    "evaluations": [_EVALUATION],
    "comparison": {
        "runs": ["@run"], "unlike": [["str"]],
        "differences": [{"kind": "spec|data|weights|image|gpus|versions|measure", "key": "str", "values": ["any"]}],
        "metrics": [{
            "name": "str", "direction": "up|down?", "scale": "fraction|percent|own?", "winner": "int?",
            "values": [{"best": "num?", "epoch": "int?", "last": "metric?"}],
        }],
    },
    "lineage": {
        "run": "str", "root": "str",
        "stages": [{
            "run": "str", "short_id": "str", "project": "str", "experiment": "str", "action": "str", "state": "str",
            "metric": "str?", "value": "metric?", "epoch": "int?",
            "made_from": [{
                "run": "str?", "path": "str", "bytes": "int?", "sha256": "str?", "match": "hash|time|changed|resumed?",
                "is_data": "bool",
            }],
            "made": [{"path": "str", "kind": "str", "bytes": "int", "sha256": "str?"}],
        }],
    },
    "bundle": {
        "bundle": "str", "for": "deepstream|onnx|triton", "command": "str",
        "files": [{"path": "str", "bytes": "int", "sha256": "str"}],
        "check": {
            "state": "passed|not-checked", "reason": "str", "images": "int", "boxes": "int", "agree": "int",
            "farthest_px": "num", "score_off": "num", "onnxruntime": "str",
        },
    },
    "rerun-check": {
        "run": "str", "rerun": "str", "same": "bool", "unchanged": ["str"], "unknown": ["str"],
        "deviations": [{"kind": "str", "text": "str", "blocking": "bool"}],
    },
    "sweep": {
        "sweep": "str", "base": "str", "metric": "str", "direction": "up|down",
        "trials": [{
            "trial": "str", "run": "str?", "state": "str", "values": {"*": "any"}, "best": "num?", "epoch": "int?",
            "reason": "str?",
        }],
    },
    "sweeps": [{"sweep": "str", "base": "str", "trials": "int", "chosen": "int", "started": "bool"}],
    "sweep-plan": {"*": "any"},
    "best-run": {
        "run": "str", "short_id": "str", "project": "str", "experiment": "str", "metric": "str", "value": "num",
        "epoch": "int?", "checkpoint": "str?",
    },
    "tracked-runs": [{
        "run": "str", "short_id": "str", "project": "str", "experiment": "str", "action": "str", "target": "str?",
        "server": "str?", "remote": "str?", "points": "int", "epoch": "int?", "complete": "bool", "problem": "str?",
    }],
    "log-lines": {"run": "str", "experiment": "str", "text": "str"},
    "added": {
        "project": "str", "experiment": "str", "file": "str", "line": "int?", "made": ["str"],
        "fill_in": [{"file": "str", "line": "int"}],
    },
    "imported": {
        "projects": ["str"], "made": ["str"], "findings": ["@finding"], "next_step": "str",
        "lines": [{"file": "str", "line": "int?", "what": "str", "outcome": "taken|left out", "note": "str"}],
    },
    "dry-run": [{
        "project": "str?", "experiment": "str?", "action": "str", "backend": "str", "cluster": "str?",
        "script": "str?", "image": "str?", "argv": ["str"],
        "weights": "str?", "knobs": [{"option": "str", "key": "str", "value": "str", "was": "str?"}],
        "env": {"*": "str"}, "mounts": [{"source": "str", "target": "str", "read_only": "bool"}], "gpus": ["str"],
        "nodes": "int", "cpus": "int?", "memory_bytes": "int?", "time_s": "int?", "user": "str?", "spec": "str?",
        "docker_run": "str?",
    }],
    "earlier-results": [{"number": "int", **_EARLIER, "restored": "bool", "replaced": "str?"}],
    "pruned-records": [
        {"id": "str", "state": "str", "size_bytes": "int", "removed": "bool", "finished_at": "time?"}
    ],
    "pruned-results": [{
        "project": "str", "experiment": "str", "kind": "set-aside|checkpoint", "path": "str", "bytes": "int",
        "removed": "bool",
    }],
    "projects": [{
        "project": "str", "directory": "str",
        "experiments": [{
            "name": "str", "network": "str?", "release": "str?", "dataset": "str?", "description": "str?",
            "usable": "bool",
        }],
    }],
    "networks": [_NETWORK],
    "network": _NETWORK,
    "synced": [{
        "image": "str", "image_id": "str?", "digest": "str?", "packages": {"*": "str?"}, "schemas": ["str"],
        "not_read": {"*": "str"},
    }],
    "pretrained-models": [{
        "model": "str", "networks": ["str"], "files": ["str"], "role": "str?", "note": "str?", "key?": "str?",
    }],
    "pretrained-versions": [
        {"version": "str", "size": "int?", "files": "int?", "created": "str?", "complete": "bool"}
    ],
    "pretrained-files": [{"path": "str", "size": "int", "sha256": "str?"}],
    "pulled-weights": [{
        "model": "str", "folder": "str", "fetched_bytes": "int",
        "files": [{"path": "str", "size": "int", "sha256": "str?"}],
    }],
    "conversion": {
        **_WRITTEN, "source": "str",
        "images": {"before": "int", "after": "int", "backgrounds": "int"},
        "classes": [{"name": "str", "written": "str", "before": "int", "left_out": "int", "after": "int"}],
        "subsets": {"*": "int"}, "renamed": [{"from": "str", "to": "str"}], "placed": {"*": "int"},
    },
    "laid-out": {
        **_WRITTEN, "source": "str", "for": "str", "images": "int", "classes": {"*": "int"}, "subsets": {"*": "int"},
        "placed": {"*": "int"},
    },
    "split": {
        **_WRITTEN, "seed": "int", "groups": "int",
        "parts": [{"name": "str", "share": "num", "images": "int", "classes": {"*": "int"}}],
        "placed": {"*": "int"}, "lost_outlines": "int",
    },
    "resize": {**_WRITTEN, "images": "int", "resized": "int", "linked": "int", "boxes": "int", "lost_outlines": "int"},
    "stats": {
        "source": "str", "format": "str", "images": "int", "backgrounds": "int", "boxes": "int",
        "subsets": {"*": "int"},
        "classes": [{
            "name": "str", "boxes": "int", "images": "int", "sizes": {"*": "int"}, "subsets": {"*": "int"},
        }],
        "boxes_per_image": {"*": "int"}, "picture_sizes": [{"width": "int", "height": "int", "images": "int"}],
        "left_out": "int",
    },
    "clusters": [{
        "name": "str", "backend": "str", "host": "str?", "file": "str", "line": "int?", "settings": {"*": "any"},
        "nodes": "int?", "cpus": "int?", "memory_bytes": "int?", "time_s": "int?",
    }],
    "images": [{
        "image": "str", "runs_as": "str", "locked": "bool", "present": "bool?", "id": "str?", "digest": "str?",
        "size_bytes": "int?", "created_at": "time?", "experiments": ["str"], "actions": ["str"],
    }],
    "pulled-images": [{"image": "str", "id": "str", "digest": "str?", "size_bytes": "int", "new": "bool"}],
    "locked-images": [{
        "image": "str", "digest": "str?", "previous": "str?", "change": "added|moved|kept|removed", "note": "str?",
    }],
    "built-image": {"id": "str", "images": ["str"]},
    "pushed-image": {"image": "str", "digest": "str", "manifest": "str?"},
    "released-image": {"image": "str", "id": "str", "wheel": "str", "version": "str"},
    "spec": {
        **_SPEC, "format": "str", "text": "str", "values": ["@spec_value"], "arguments": ["str"],
        "findings": ["@finding"],
    },
    "spec-differences": {
        "first": _SPEC, "second": _SPEC,
        "differences": [{
            "key": "str", "kind": "changed|only-first|only-second", "by_name": "bool", "first": "@spec_value?",
            "second": "@spec_value?", "default": "any",
        }],
    },
    "explained-key": {
        "network": "str", "action": "str", "release": "str", "version": "str", **_KEY, "children": [_KEY],
        "experiment": "str?", "values": "@spec_values?", "problem": "str?",
    },
    "pages": [{"topic": "str", "title": "str", "text?": "str"}],
    "explanations": [{
        "code": "str", "kind": "finding|failure", "area": "str", "severities": ["str"], "about": "str?",
        "says": [{"message": "str", "hint": "str?"}], "example": "@example?", "page": "str",
    }],
    "spec-changes": {
        "experiment": "str", "data": "any",
        "changes": [{"file": "str?", "line": "int?", "key": "any", "old": "any", "new": "any", "reason": "str?"}],
        "files": [{"file": "str", "also_used_by": ["str"]}], "kept": "int", "written": "bool",
    },
}  # fmt: skip

_START = ("events", "dry-run", "started")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("convert", "train", "evaluate", "prune", "export", "inference", "run", "resume"), _START
    ),
    "attach": ("events",), "validate": ("findings",), "doctor": ("findings",), "dataset check": ("findings",),
    "clusters show": ("clusters",), "clusters check": ("findings",),
    "stop": ("runs",), "logs": ("log-lines",), "add": ("added",), "runs rm": ("pruned-records",),
    "runs mark-lost": ("runs",), "init-project": ("imported",),
    "ps": ("runs",), "runs list": ("runs",), "runs show": ("runs",), "runs restore": ("earlier-results",),
    "runs diff": ("comparison",), "runs compare": ("comparison",), "runs best": ("best-run",),
    "track sync": ("tracked-runs",), "track status": ("tracked-runs",),
    "bundle": ("bundle",), "runs lineage": ("lineage",), "rerun": ("rerun-check", "events", "started"),
    "sweep run": ("sweep", "sweep-plan"), "sweep resume": ("sweep",), "sweep show": ("sweep", "sweeps"),
    "sweep best": ("sweep",), "runs prune": ("pruned-records", "pruned-results"), "shell": ("dry-run",),
    "projects": ("projects",), "networks show": ("networks", "network"), "networks sync": ("synced",),
    "pretrained list": ("pretrained-models", "pretrained-versions", "pretrained-files"),
    "pretrained pull": ("pulled-weights",), "dataset convert": ("conversion", "laid-out"),
    "dataset split": ("split",), "dataset stats": ("stats",), "dataset evaluate": ("evaluation", "evaluations"),
    "dataset resize": ("resize",), "image ls": ("images",),
    "image pull": ("pulled-images",), "image lock": ("locked-images", "findings"), "image build": ("built-image",),
    "image push": ("pushed-image",), "image release": ("released-image",), "specs show": ("spec",),
    "specs diff": ("spec-differences",), "specs explain": ("explained-key",), "specs refresh": ("spec-changes",),
    "docs": ("pages",), "explain": ("explanations",),
}  # fmt: skip
"""What each command prints with ``--json``. Each of them prints findings where it refuses."""


def shape_names() -> list[str]:
    """The names of all shapes; ``events`` and ``log-lines`` are that of one line."""
    return ["events", *_SHAPES]


def shape_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a shape, Draft 2020-12. Raises KeyError for an unknown name."""
    body = events_schema() if name == "events" else _with_parts(_SHAPES[name])
    return {
        "$schema": DIALECT,
        "$id": f"urn:taorunner:json:{name}:{VERSION}",
        "title": f"{name} of taorunner, version {VERSION}",
        "description": _printed_by(name),
        **body,
    }


def _with_parts(note: Note) -> dict[str, Any]:
    """With the definitions that it refers to, directly or not."""
    waiting, parts = references(note), {}
    while waiting:
        name = waiting.pop()
        if name in parts:
            continue
        parts[name] = finding_schema() if name == "finding" else schema_of(_PARTS[name])
        waiting += [] if name == "finding" else references(_PARTS[name])
    body = schema_of(note)
    return {**body, "$defs": dict(sorted(parts.items()))} if parts else body


def _printed_by(name: str) -> str:
    commands = [command for command, shapes in COMMANDS.items() if name in shapes]
    if name == "findings":
        return (
            "Printed by validate, doctor, dataset check, clusters check, and by every command that refuses."
        )
    what = "One line printed" if name in ("events", "log-lines") else "Printed"
    return f"{what} by {', '.join(commands)}."
