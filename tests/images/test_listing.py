"""Which of the needed images the engine has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripted_engine import Image, ScriptedEngine

from taorunner.engine import client
from taorunner.images.listing import list_images
from taorunner.planning.spec.required_images import needed_images
from taorunner.project.image_lock import lock_text
from taorunner.project.workspace import Workspace

A = "sha256:" + "a" * 64
ACTIONS = ["train", "evaluate", "inference", "default_specs"]


def test_an_image_is_here_where_the_engine_has_what_runs_would_use(
    scripted: ScriptedEngine, workspace: Callable[..., Path]
) -> None:
    root = workspace(e1="r.io/here:1", e2="r.io/absent:1", e3="r.io/locked:1")
    (root / "taorunner.lock").write_text(lock_text({"r.io/locked:1": A}))
    scripted.images.update({"r.io/here:1": Image("sha256:1", A), "r.io/locked:1": Image("sha256:2")})
    listed = list_images(client.connect(), needed_images(Workspace(root), ["example_01"]).images)
    absent = {"present": False, "id": None, "digest": None, "size_bytes": None, "created_at": None}
    assert [one.to_json() for one in listed] == [
        {
            "image": "r.io/here:1", "runs_as": "r.io/here:1", "locked": False, "present": True, "id": "sha256:1",
            "digest": A, "size_bytes": 7, "created_at": "2026-01-31T10:00:00+00:00",
            "experiments": ["example_01/e1"], "actions": ACTIONS,
        },
        {
            "image": "r.io/absent:1", "runs_as": "r.io/absent:1", "locked": False, **absent,
            "experiments": ["example_01/e2"], "actions": ACTIONS,
        },
        {
            "image": "r.io/locked:1", "runs_as": f"r.io/locked@{A}", "locked": True, **absent,
            "experiments": ["example_01/e3"], "actions": ACTIONS,
        },
    ]  # fmt: skip
