"""Checks of the registry: login, proxies, and the clock, on which certificates and tokens depend."""

from __future__ import annotations

import http.client
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

from taorunner.doctor.check import Area, Check, error, info, ok, warning
from taorunner.doctor.host import PATIENCE_S, Machine, StillWaitingError
from taorunner.doctor.remedies import restart_warning, service, without_json_key
from taorunner.doctor.workspace_needs import REGISTRY, login_key
from taorunner.errors import Finding, TaorunnerError
from taorunner.text import duration

if TYPE_CHECKING:
    from taorunner.engine.logins import Login

NGC_USER = "$oauthtoken"
"""The user name at nvcr.io is this literal text, the password an API key. Source: tao/pretrained.md section B5."""
KEY_PAGE = "https://org.ngc.nvidia.com/setup/api-key"
_KEY_VARIABLES = ("NGC_API_KEY", "NGC_CLI_API_KEY", "NGC_KEY")
_SKEW_S = 60
_BAD_SKEW_S = 300
"""Registry tokens are valid for five minutes."""
_FIRST_YEAR, _LAST_YEAR = 2025, 2100
_HIDDEN = "xxxxx"
_LOCAL = ("localhost", "127.0.0.1", "::1")
_PROXY_OF_SERVICE = """\
{sudo}mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\\nEnvironment="HTTP_PROXY=%s" "HTTPS_PROXY=%s" "NO_PROXY=%s"\\n' {values} | sed 's/%/%%/g' | \
{sudo}tee /etc/systemd/system/docker.service.d/proxy.conf >/dev/null
{sudo}systemctl daemon-reload && {restart}"""
_PROXY_OF_SCRIPT = """\
printf 'export HTTP_PROXY="%s" HTTPS_PROXY="%s" NO_PROXY="%s"\\n' {values} | {sudo}tee -a /etc/default/docker >/dev/null
{restart}"""
"""Uses the shell's variables, so that no password is shown. ``%`` has a special meaning in systemd units."""


def look_at_login(machine: Machine) -> Iterator[Finding]:
    if not machine.needs.wants_engine:
        return
    for registry in machine.needs.registries:
        yield from _login(machine, registry)


def _login(machine: Machine, registry: str) -> Iterator[Finding]:
    from taorunner.engine.logins import TOKEN_USER, Stored, find_login

    file = _docker_config(machine)
    login = find_login(registry, file, machine.environ, patience_s=PATIENCE_S)
    if login.stored is Stored.BROKEN_FILE:
        text = f'"{file}" cannot be used, neither by docker: {login.problem}'
        yield error("login-broken-file", text, f"mv {_quoted(file)} {_quoted(file)}.broken")
    elif login.stored is Stored.BROKEN_HELPER:
        text = (
            f'the credential helper of "{_name(registry)}" fails, so images cannot be pulled: {login.problem}'
        )
        yield error("login-broken-helper", text, _without_helper(machine, login.key, registry))
    elif login.stored is Stored.NONE:
        how = _log_in(machine, registry)
        is_ngc = registry == REGISTRY
        key = f" (user {NGC_USER}, password an API key of {KEY_PAGE})" if is_ngc else ""
        text = f'not logged in at "{_name(registry)}"{key}'
        is_wanted = is_ngc and not _has_all_of(machine, registry)
        yield (warning if is_wanted else info)("login-missing", text, how)
    elif registry == REGISTRY and login.user not in (NGC_USER, TOKEN_USER):
        text = f'the user name at "{_name(registry)}" is the literal text {NGC_USER}, not "{login.user}"'
        yield warning("login-wrong-user", text, _log_in(machine, registry))
    else:
        yield from _tried(machine, registry, login)


def _has_all_of(machine: Machine, registry: str) -> bool:
    """True when no image of that registry needs to be pulled."""
    missing, ours = machine.missing_images(), [i for i in machine.needs.images if login_key(i) == registry]
    return bool(ours) and missing is not None and not any(image in missing for image in ours)


def _tried(machine: Machine, registry: str, login: Login) -> Iterator[Finding]:
    from taorunner.engine.logins import TOKEN_USER, try_login

    stored = f'a login at "{_name(registry)}" is stored (user {login.user}, in {login.said_by})'
    view = machine.engine_or_none()
    if machine.offline or view is None or login.user == TOKEN_USER:
        yield ok("login", stored)
        return
    try:
        refusal = try_login(view.engine, registry, login)
    except TaorunnerError as failure:
        yield info("login-untried", f"{stored}; it could not be tried: {failure.message}")
        return
    if refusal is None:
        yield ok("login", f'logged in at "{_name(registry)}" (user {login.user})')
    else:
        text = (
            f'"{_name(registry)}" rejects the stored login of user {login.user}: the key is expired or wrong'
        )
        yield error("login-refused", text, _log_in(machine, registry))


def _log_in(machine: Machine, registry: str) -> str:
    """Pipes a key that is set in the environment, so that neither the shell's history nor ``ps`` shows it."""
    if registry != REGISTRY:
        return f"docker login {shlex.quote(registry)}" if not registry.startswith("http") else "docker login"
    for name in _KEY_VARIABLES:
        if machine.environ.get(name):
            return f"printenv {name} | docker login {registry} --username '{NGC_USER}' --password-stdin"
    return f"docker login {registry} --username '{NGC_USER}'"


def _without_helper(machine: Machine, key: str, registry: str) -> str:
    keys = (key, registry) if key == "credHelpers" else (key,)
    return without_json_key(machine, _docker_config(machine), *keys)


def look_at_clock(machine: Machine) -> Iterator[Finding]:
    now = datetime.fromtimestamp(machine.now(), timezone.utc)
    fix = f"{machine.sudo}timedatectl set-ntp true" if machine.has_systemd else _from_http(machine)
    if not _FIRST_YEAR <= now.year <= _LAST_YEAR:
        text = f"the clock shows {now:%Y-%m-%d}: certificates and tokens will be rejected"
        yield error("clock-wrong", text, fix)
        return
    is_compared = False
    for whose, other in _other_clocks(machine):
        is_compared = True
        apart = abs((now - other).total_seconds())
        if apart > _SKEW_S:
            text = f"the clock is {duration(apart)} {'ahead of' if now > other else 'behind'} that of {whose}"
            yield (error if apart > _BAD_SKEW_S else warning)("clock-skewed", text, fix)
            return
    yield ok(
        "clock",
        f"the clock shows {now:%Y-%m-%d %H:%M} UTC" + ("" if is_compared else ", not compared with another"),
    )


def _from_http(machine: Machine) -> str:
    return f'{machine.sudo}date -s "$(curl -skI https://{REGISTRY} | grep -i "^date:" | cut -d" " -f2- | tr -d "\\r")"'


def _other_clocks(machine: Machine) -> Iterator[tuple[str, datetime]]:
    view = machine.engine_or_none()
    if view is not None and view.facts.clock is not None:
        yield "the engine", view.facts.clock
    if not machine.offline:
        for registry in machine.needs.registries:
            date = _answer_of(machine, registry)
            if isinstance(date, datetime):
                yield f'"{_name(registry)}"', date
                return


def look_at_registry(machine: Machine) -> Iterator[Finding]:
    """Whether this machine reaches the registry. The engine pulls by itself, maybe over another network."""
    if machine.offline or not machine.needs.wants_engine:
        return
    for registry in machine.needs.registries:
        answer = _answer_of(machine, registry)
        if isinstance(answer, str) and _has_all_of(machine, registry):
            yield ok(
                "registry",
                f'"{_name(registry)}" cannot be reached from here, but all of its images are present',
            )
        elif isinstance(answer, str):
            text = f'"{_name(registry)}" cannot be reached from here: {answer}'
            yield info("registry-unreached", text, f"curl -sSI {shlex.quote(_url(registry))}")
        else:
            yield ok("registry", f'"{_name(registry)}" answers')


def _answer_of(machine: Machine, registry: str) -> datetime | str | None:
    """The date of the response (None when it has none), or the reason why there is none. Shared by all checks."""
    try:
        return machine.shared(f"registry {registry}", lambda: _ask(machine, registry))
    except StillWaitingError:
        return f"no answer within {PATIENCE_S:g} s"


def _ask(machine: Machine, registry: str) -> datetime | str | None:
    request = urllib.request.Request(_url(registry), method="GET")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(_proxies(machine)))
    try:
        with opener.open(request, timeout=PATIENCE_S) as response:
            date = response.headers.get("Date")
    except urllib.error.HTTPError as refusal:  # 401 is a response, too
        date = refusal.headers.get("Date")
        refusal.close()
    except (OSError, ValueError, http.client.HTTPException) as failure:
        reason = getattr(failure, "reason", failure)
        return str(getattr(reason, "strerror", None) or reason or type(failure).__name__).lower()
    try:
        return None if date is None else parsedate_to_datetime(date).astimezone(timezone.utc)
    except (TypeError, ValueError):
        return None


def _name(registry: str) -> str:
    """The usual name of the registry: Docker Hub's key in config.json is a URL."""
    return "docker.io" if registry.startswith("http") else registry


def _url(registry: str) -> str:
    if registry.startswith("http"):
        return registry
    scheme = "http" if registry.partition(":")[0] in _LOCAL else "https"
    return f"{scheme}://{registry}/v2/"


def _proxies(machine: Machine) -> dict[str, str]:
    found = {scheme: _variable(machine, f"{scheme}_proxy") for scheme in ("http", "https")}
    return {scheme: value for scheme, value in found.items() if value}


def _variable(machine: Machine, name: str) -> str:
    return machine.environ.get(name) or machine.environ.get(name.upper()) or ""


def look_at_proxy(machine: Machine) -> Iterator[Finding]:
    ours = bool(_proxies(machine))
    view = machine.engine_or_none()
    if view is None or view.is_remote:
        if ours:
            yield info("proxy", "this shell uses a proxy; whether the engine does is unknown")
        return
    if ours and not view.facts.has_proxy:
        names = [_name_of(machine, name) for name in ("http_proxy", "https_proxy", "no_proxy")]
        values = " ".join(f'"${name}"' for name in names)
        text = "this shell uses a proxy, the engine does not: it may not reach registries"
        text += restart_warning(machine)
        shape = _PROXY_OF_SERVICE if machine.has_systemd else _PROXY_OF_SCRIPT
        repair = shape.format(sudo=machine.sudo, values=values, restart=service(machine, "restart"))
        yield warning("proxy-not-engine", text, repair)
    elif view.facts.has_proxy and not ours:
        text = "the engine uses a proxy, this shell does not: downloads of pretrained models may fail"
        address = view.facts.https_proxy or view.facts.http_proxy
        if _HIDDEN in address:  # the engine hides passwords
            yield warning(
                "proxy-not-here", f"{text}; set HTTPS_PROXY to the engine's proxy, with its password"
            )
        else:
            yield warning("proxy-not-here", text, f"export HTTPS_PROXY={shlex.quote(address)}")
    elif ours:
        yield ok("proxy", "this shell and the engine use a proxy")
    else:
        yield ok("proxy", "no proxy in this shell, none in the engine")


def _name_of(machine: Machine, name: str) -> str:
    """The variable's name as it is set (upper or lower case), or the other one of a pair."""
    pair = {"http_proxy": "https_proxy", "https_proxy": "http_proxy"}
    for candidate in (name, name.upper(), pair.get(name, ""), pair.get(name, "").upper()):
        if machine.environ.get(candidate):
            return candidate
    return name.upper()


def _docker_config(machine: Machine) -> Path:
    given = machine.environ.get("DOCKER_CONFIG")
    return (Path(given) if given else machine.home / ".docker") / "config.json"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


CHECKS = (
    Check("login", Area.NETWORK, look_at_login, limit_s=10.0),
    Check("registry", Area.NETWORK, look_at_registry, limit_s=6.0),
    Check("clock", Area.NETWORK, look_at_clock, limit_s=8.0),
    Check("proxy", Area.NETWORK, look_at_proxy),
)
