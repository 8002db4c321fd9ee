"""Commands on a real login host, and what is refused before anything is submitted there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slurm_rig import Cluster
from ssh_host import ssh_host

from taorunner.backends.contract import Launch
from taorunner.backends.login_host import LoginHost, UnreachableError, run_at
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


def test_calls_share_one_connection_and_a_lost_one_is_opened_again(
    tmp_path: Path,
) -> None:
    # the name of a socket has room for a hundred bytes
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime, ssh_host(tmp_path, "box") as found:
        environ = {**os.environ, **found, "XDG_RUNTIME_DIR": runtime}
        logins = tmp_path / "ssh" / "log"

        def count() -> int:
            return logins.read_text().count("Accepted publickey")

        host, other = LoginHost("box", environ), LoginHost("box", environ)
        for one in (host, other, host):
            assert one.run(["echo", HOSTILE], timeout_s=30).stdout == f"{HOSTILE}\n"
        assert count() == 1
        (place,) = [path for path in Path(runtime, f"taorunner-{os.geteuid()}").iterdir() if path.is_socket()]
        assert place.parent.stat().st_mode & 0o077 == 0
        place.unlink()
        place.touch()  # what a killed connection leaves: nothing answers there
        assert host.run_raw(["printf", "\\377"], timeout_s=30).stdout == b"\377"
        assert count() == 2
        assert [LoginHost("box", environ).run(["true"], timeout_s=30).code, count()] == [0, 2]

        config = tmp_path / "ssh" / "config"
        config.write_text(
            f"{config.read_text()}  ControlMaster auto\n  ControlPath {runtime}/own\n  ControlPersist 5\n"
        )
        own = LoginHost("box", environ)
        assert [own.run(["true"], timeout_s=30).code for _ in range(2)] == [0, 0]
        assert (count(), Path(runtime, "own").is_socket()) == (3, True)


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
