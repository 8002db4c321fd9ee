"""``--env`` and ``--volume`` of an action on a real engine: what arrives inside, and what can be seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from command_line import files_holding, wait_for

SECRET = "s3cret-of-the-engine-test"


def test_variables_and_a_volume_arrive_and_no_secret_is_seen_from_outside(
    place: Callable[..., Any], engine: Any, tao_image: Callable[..., str]
) -> None:
    here = place(engine, tao_image("pyt_7"), {"e1": {}}, epoch_s=30, files={"extra/note": "from the volume"})
    words = ("--env", "FROM_HERE", "--env", f"MY_TOKEN={SECRET}", "--env", "PLAIN=seen")
    started = here.cli(
        "train", "e1", *words, "--volume", "extra:/extra:ro", "--detach", cwd=here.root, env={"FROM_HERE": SECRET}
    )  # fmt: skip
    assert started.code == 0, started.err
    wait_for(lambda: here.states() == {"e1": "RUNNING"})
    (container,) = here.containers()
    shown = engine.docker("inspect", container).stdout
    assert "PLAIN=seen" in shown and SECRET not in shown
    inside = engine.docker("exec", container, "cat", "/extra/note").stdout
    environ = engine.docker("exec", container, "sh", "-c", "cat /proc/[0-9]*/environ").stdout
    assert inside == "from the volume"
    assert f"FROM_HERE={SECRET}" in environ and f"MY_TOKEN={SECRET}" in environ and "PLAIN=seen" in environ
    refused = engine.docker("exec", container, "touch", "/extra/new")
    assert refused.returncode != 0 and not (here.root / "extra/new").exists()
    kept = files_holding(here.root / ".taorunner", SECRET)
    assert kept and all("/input/secrets/" in name for name in kept)  # for its owner only, until the run ends
    stopped = here.cli("stop", "e1", cwd=here.root)
    assert stopped.code == 0, stopped.err
    assert files_holding(here.root / ".taorunner", SECRET) == []
