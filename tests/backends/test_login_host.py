"""Commands on a real login host, and what is refused before anything is submitted there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from slurm_rig import Cluster

from taorunner.backends.contract import Launch
from taorunner.backends.login_host import UnreachableError, run_at
from taorunner.backends.slurm.backend import create
from taorunner.errors import EngineRefusedError
from taorunner.planning.model.plan import RunPlan
from taorunner.values.value import replace

HOSTILE = "a b'c\"$(echo x)`x`;\\\n&é"


@pytest.fixture
def elsewhere(slurm: Cluster) -> dict[str, str]:
    return {**os.environ, **slurm.elsewhere}


def test_words_and_input_reach_a_login_host_whole(slurm: Cluster, elsewhere: dict[str, str]) -> None:
    done = run_at(slurm.login, ["sh", "-c", 'cat; printf "%s" "$0"; exit 3', HOSTILE], timeout_s=30, env=elsewhere,
                  stdin="in|")  # fmt: skip
    assert (done.code, done.stdout) == (3, f"in|{HOSTILE}")
    with pytest.raises(UnreachableError, match=r'"nobody\.invalid" cannot be reached: ') as caught:
        run_at("nobody.invalid", ["true"], timeout_s=30, env=elsewhere)
    assert caught.value.hint == "try: ssh nobody.invalid true"


def test_a_login_host_that_does_not_see_the_workspace_gets_no_job(
    slurm: Cluster, elsewhere: dict[str, str], make_plan: Callable[..., RunPlan], make_launch: Callable[[], Launch]
) -> None:  # fmt: skip
    options: dict[str, Any] = {
        "host": slurm.login,
        "workspace": "/elsewhere",
        "container": {"runtime": "docker"},
    }
    plan = replace(make_plan("dino", backend="slurm", backend_options=options), image="a/b:1")
    backend, launch = create(elsewhere), make_launch()
    with pytest.raises(
        EngineRefusedError, match='does not see this workspace: there is no "/elsewhere/'
    ) as caught:
        backend.submit(backend.request(plan, launch))
    assert caught.value.hint is not None and caught.value.hint.startswith("workspace: its path there")
    assert slurm.checked("squeue", "-h", "-t", "all", "-n", f"tr-{launch.run_id}") == ""
