"""Logins with and without helpers, clocks that differ, proxies on one side only; and that no secret is shown."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from planted import IMAGE_5, Place, StandInEngine, codes, look

from taorunner.doctor.host import Machine
from taorunner.doctor.workspace_needs import Needs
from taorunner.errors import Severity

SECRET = "nvapi-canary-5f1e"
NGC = Needs(is_known=True, images={IMAGE_5: ("p/e",)})
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=timezone.utc)


def config(place: Place, body: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    (place.home / ".docker" / "config.json").write_text(text)


def auth(user: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{SECRET}".encode()).decode()}


def logged_in(place: Place, **doors: Any) -> list[tuple[Severity, str]]:
    """What the check says; with nothing secret in it."""
    findings = look("login", place.machine(needs=NGC, offline=True, **doors))
    shown = repr(findings)
    assert SECRET not in shown and auth("$oauthtoken")["auth"] not in shown
    return codes(findings)


def test_no_login_is_found(place: Place) -> None:
    (found,) = look("login", place.machine(needs=NGC, offline=True))
    assert (found.severity, found.code) == (Severity.WARNING, "login-missing")
    assert found.hint == "docker login nvcr.io --username '$oauthtoken'"


def test_a_key_in_the_environment_is_piped_and_not_shown(place: Place) -> None:
    place.environ["NGC_API_KEY"] = SECRET
    (found,) = look("login", place.machine(needs=NGC, offline=True))
    assert SECRET not in repr(found)
    place.program("docker", 'echo "docker $*" >>"$RECORD"; cat >>"$RECORD"')
    place.paste(found.hint)
    assert place.record == ["docker login nvcr.io --username $oauthtoken --password-stdin", SECRET]


def test_without_a_login_nothing_is_missing_where_the_images_are_there(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]
    stand_in_engine.images[IMAGE_5] = {"Id": "sha256:1", "RepoDigests": []}
    assert logged_in(place) == [(Severity.INFO, "login-missing")]


def test_a_login_in_the_file(place: Place) -> None:
    config(place, {"auths": {"nvcr.io": auth("$oauthtoken")}})
    assert logged_in(place) == [(Severity.OK, "login")]


def test_without_docker_config_the_file_is_in_the_home_folder(place: Place) -> None:
    config(place, {"auths": {"nvcr.io": auth("somebody else")}})
    del place.environ["DOCKER_CONFIG"]
    assert logged_in(place) == [(Severity.WARNING, "login-wrong-user")]
    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    place.environ["DOCKER_CONFIG"] = str(elsewhere)
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]


def test_a_login_with_the_wrong_user(place: Place) -> None:
    config(place, {"auths": {"nvcr.io": auth("me@example.org")}})
    assert logged_in(place) == [(Severity.WARNING, "login-wrong-user")]


def test_a_login_at_another_registry_is_none_here(place: Place) -> None:
    config(place, {"auths": {"docker.io": auth("$oauthtoken")}})
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]


def test_an_identity_token(place: Place) -> None:
    config(place, {"auths": {"nvcr.io": {"identitytoken": SECRET}}})
    assert logged_in(place) == [(Severity.OK, "login")]


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_credential_helper_that_has_the_login(key: str, place: Place) -> None:
    config(place, {key: "ours" if key == "credsStore" else {"nvcr.io": "ours"}})
    answer = json.dumps({"ServerURL": "nvcr.io", "Username": "$oauthtoken", "Secret": SECRET})
    place.program(
        "docker-credential-ours", f"read server; test \"$1 $server\" = 'get nvcr.io' && echo '{answer}'"
    )
    assert logged_in(place) == [(Severity.OK, "login")]


def test_a_credential_helper_without_a_login(place: Place) -> None:
    config(place, {"credsStore": "ours", "auths": {"nvcr.io": {}}})
    place.program("docker-credential-ours", "echo credentials not found in native keychain; exit 1")
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (None, 'there is no command "docker-credential-desktop" on PATH'),
        ("echo no secret service >&2; exit 1", '"docker-credential-desktop": no secret service'),
        (f"echo {SECRET}", '"docker-credential-desktop" does not return a login'),
    ],
)
@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_broken_credential_helper_is_taken_out_by_the_repair(
    key: str, script: str | None, says: str, place: Place
) -> None:
    others = {"auths": {"quay.io": auth("me")}, "currentContext": "default"}
    config(place, {key: "desktop" if key == "credsStore" else {"nvcr.io": "desktop"}, **others})
    if script is not None:
        place.program("docker-credential-desktop", script)
    (found,) = look("login", place.machine(needs=NGC, offline=True))
    assert (found.severity, found.code) == (Severity.ERROR, "login-broken-helper")
    assert found.message.endswith(f": {says}")
    place.paste(found.hint)
    left = json.loads((place.home / ".docker" / "config.json").read_text())
    assert left == ({**others} if key == "credsStore" else {"credHelpers": {}, **others})
    assert (place.home / ".docker" / "config.json.before").exists()
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]


def test_a_hostile_name_of_a_registry_is_only_a_name_when_the_repair_is_pasted(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    """The author of experiments.yml is not the user who pastes."""
    registry = "x.$(touch${IFS}ran)`touch${IFS}ran`'\""
    needs = Needs(is_known=True, images={f"{registry}/tao:5.0.0-pyt": ("p/e",)})
    config(place, {"credHelpers": {registry: "desktop"}})
    place.recorded("docker", "curl", "grep")
    pasted = 0
    for _ in range(2):  # first with the broken helper, which the repair takes out, then without a login
        machine = place.machine(needs=needs)
        for name in ("login", "registry", "processor", "gpu-in-container"):
            for finding in look(name, machine):
                if finding.hint is not None:
                    place.paste(finding.hint)
                    pasted += 1
    assert pasted >= 3
    assert not (place.folder / "ran").exists()
    assert json.loads((place.home / ".docker" / "config.json").read_text()) == {"credHelpers": {}}


def test_a_helper_that_hangs(place: Place) -> None:
    config(place, {"credsStore": "slow"})
    place.program("docker-credential-slow", "exec /bin/sleep 60")
    assert logged_in(place) == [(Severity.ERROR, "login-broken-helper")]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": {"nvcr.io": {"auth": "%%%"}}}', '{"auths": {"nvcr.io": {"auth": "YQ=="}}}']
)
def test_a_broken_file_is_moved_aside_by_the_repair(text: str, place: Place) -> None:
    config(place, text)
    (found,) = look("login", place.machine(needs=NGC, offline=True))
    assert (found.severity, found.code) == (Severity.ERROR, "login-broken-file")
    place.paste(found.hint)
    assert logged_in(place) == [(Severity.WARNING, "login-missing")]


def test_a_login_that_cannot_be_tried(place: Place, stand_in_engine: StandInEngine) -> None:
    """This engine cannot log in anywhere."""
    config(place, {"auths": {"nvcr.io": auth("$oauthtoken")}})
    (found,) = look("login", place.machine(needs=NGC))
    assert (found.severity, found.code) == (Severity.INFO, "login-untried")
    assert SECRET not in repr(found)


def test_experiments_without_containers_need_no_login(place: Place) -> None:
    assert look("login", place.machine(needs=Needs(is_known=True))) == []


# ---- clock ----------------------------------------------------------------------------------------------------


@pytest.fixture
def dated_registry() -> Iterator[dict[str, Any]]:
    """A registry on loopback that wants a login, and whose clock is ``date``."""
    state: dict[str, Any] = {"date": NOW}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(401)
            self.send_header("Date", format_datetime(state["date"], usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        state["address"] = f"127.0.0.1:{server.server_address[1]}"
        yield state
        server.shutdown()


def clocked(place: Place, registry: dict[str, Any], **doors: Any) -> Machine:
    needs = Needs(is_known=True, images={f"{registry['address']}/tao:5.5.0-pyt": ("p/e",)})
    return place.machine(needs=needs, now=NOW.timestamp, **doors)


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (timedelta(seconds=0), (Severity.OK, "clock")),
        (timedelta(seconds=-59), (Severity.OK, "clock")),
        (timedelta(minutes=2), (Severity.WARNING, "clock-skewed")),
        (timedelta(minutes=-6), (Severity.ERROR, "clock-skewed")),
        (timedelta(days=400), (Severity.ERROR, "clock-skewed")),
    ],
)
def test_a_clock_that_differs_from_the_registrys(
    apart: timedelta, expected: tuple[Severity, str], place: Place, dated_registry: dict[str, Any]
) -> None:
    dated_registry["date"] = NOW + apart
    assert codes(look("clock", clocked(place, dated_registry))) == [expected]


def test_who_is_ahead_and_the_repair(place: Place, dated_registry: dict[str, Any]) -> None:
    dated_registry["date"] = NOW - timedelta(hours=2)
    (found,) = look("clock", clocked(place, dated_registry, uid=1000))
    assert found.message == f'the clock is 2h 00m ahead of that of "{dated_registry["address"]}"'
    place.recorded("timedatectl")
    place.paste(found.hint)
    assert place.record == ["timedatectl set-ntp true"]


def test_offline_no_time_server_is_asked(place: Place, dated_registry: dict[str, Any]) -> None:
    dated_registry["date"] = NOW + timedelta(days=400)
    (found,) = look("clock", clocked(place, dated_registry, offline=True))
    assert (found.severity, found.message) == (
        Severity.OK,
        "the clock shows 2026-05-01 12:00 UTC, not compared with another",
    )


def test_the_clock_of_the_engines_machine(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["SystemTime"] = (NOW + timedelta(minutes=3)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    (found,) = look("clock", place.machine(now=NOW.timestamp, offline=True))
    assert (found.severity, found.message) == (
        Severity.WARNING,
        "the clock is 3m 00s behind that of the engine",
    )


def test_a_year_that_cannot_be(place: Place) -> None:
    machine = place.machine(now=lambda: 0.0, offline=True)
    assert codes(look("clock", machine)) == [(Severity.ERROR, "clock-wrong")]


def test_a_registry_that_answers_and_one_that_does_not(place: Place, dated_registry: dict[str, Any]) -> None:
    assert codes(look("registry", clocked(place, dated_registry))) == [(Severity.OK, "registry")]
    dated_registry["address"] = "127.0.0.1:1"
    (found,) = look("registry", clocked(place, dated_registry))
    assert (found.severity, found.code) == (Severity.INFO, "registry-unreached")
    assert "connection refused" in found.message


def test_something_that_speaks_no_http(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=talk, daemon=True).start()
        registry = {"address": f"127.0.0.1:{server.getsockname()[1]}"}
        assert codes(look("registry", clocked(place, registry))) == [(Severity.INFO, "registry-unreached")]


# ---- proxy ----------------------------------------------------------------------------------------------------

PROXY = f"http://me:{SECRET}%40@proxy.example:3128"


def test_a_proxy_that_the_engine_does_not_know_is_given_to_it(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    place.environ["https_proxy"] = PROXY
    place.environ["NO_PROXY"] = "localhost"
    (found,) = look("proxy", place.machine(uid=1000))
    assert (found.severity, found.code) == (Severity.WARNING, "proxy-not-engine")
    assert SECRET not in repr(found)
    place.recorded("mkdir", "systemctl")
    place.program("tee", 'echo "tee $*" >>"$RECORD"; cat >>"$RECORD"')
    place.paste(found.hint)
    assert place.record == [
        "mkdir -p /etc/systemd/system/docker.service.d",
        "tee /etc/systemd/system/docker.service.d/proxy.conf",
        "[Service]",
        f'Environment="HTTP_PROXY={PROXY}" "HTTPS_PROXY={PROXY}" "NO_PROXY=localhost"'.replace("%", "%%"),
        "systemctl daemon-reload",
        "systemctl restart docker",
    ]


def test_without_systemd_the_start_script_gets_the_proxy(
    place: Place, stand_in_engine: StandInEngine
) -> None:
    (place.root / "run/systemd/system").rmdir()
    place.environ["HTTP_PROXY"] = PROXY
    (found,) = look("proxy", place.machine(uid=0))
    place.recorded("service")
    place.program("tee", 'echo "tee $*" >>"$RECORD"; cat >>"$RECORD"')
    place.paste(found.hint)
    assert place.record == [
        "tee -a /etc/default/docker",
        f'export HTTP_PROXY="{PROXY}" HTTPS_PROXY="{PROXY}" NO_PROXY=""',
        "service docker restart",
    ]


def test_a_proxy_that_only_the_engine_has(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["HttpsProxy"] = "http://proxy.example:3128"
    (found,) = look("proxy", place.machine())
    assert (found.severity, found.code) == (Severity.WARNING, "proxy-not-here")
    assert found.hint == "export HTTPS_PROXY=http://proxy.example:3128"


def test_a_proxy_whose_password_the_engine_hides(place: Place, stand_in_engine: StandInEngine) -> None:
    stand_in_engine.info["HttpProxy"] = "http://xxxxx:xxxxx@proxy.example:3128"
    (found,) = look("proxy", place.machine())
    assert (found.code, found.hint) == ("proxy-not-here", None)


def test_a_proxy_on_both_sides_and_on_none(place: Place, stand_in_engine: StandInEngine) -> None:
    assert codes(look("proxy", place.machine())) == [(Severity.OK, "proxy")]
    place.environ["HTTPS_PROXY"] = PROXY
    stand_in_engine.info["HttpsProxy"] = "http://proxy.example:3128"
    assert codes(look("proxy", place.machine())) == [(Severity.OK, "proxy")]


def test_at_another_registry_any_user_may_be_logged_in(place: Place) -> None:
    config(place, {"auths": {"r.example.org": auth("anna")}})
    needs = Needs(is_known=True, images={"r.example.org/mine:1": ("p/e",)})
    found = look("login", place.machine(needs=needs, offline=True))
    assert (Severity.OK, "login") in codes(found)
    assert "login-wrong-user" not in [code for _, code in codes(found)]
