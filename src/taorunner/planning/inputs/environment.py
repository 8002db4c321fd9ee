"""The environment variables and secrets of a process.

Without HOME, USER and LOGNAME a process under an arbitrary uid dies in ``getpass`` before TAO's first line, and caches
would be written to a read-only root. Source: tao/pytorch.md section 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taorunner.planning.model.plan import SECRET_MARK, SecretSource
from taorunner.text import is_secret_name

HOME_INSIDE = "/taorunner/home"
RUN_INSIDE = "/taorunner/run"
MODEL_KEY = "model_key"

_CACHES = {
    "XDG_CACHE_HOME": ".cache",
    "HF_HOME": ".cache/huggingface",
    "TORCH_HOME": ".cache/torch",
    "TRITON_CACHE_DIR": ".cache/triton",
    "TORCHINDUCTOR_CACHE_DIR": ".cache/torchinductor",
    "MPLCONFIGDIR": ".cache/matplotlib",
}


def base_environment(user_name: str) -> dict[str, str]:
    """The variables of every container: a writable home, names for its uid, no telemetry."""
    return {
        "HOME": HOME_INSIDE,
        "USER": user_name,
        "LOGNAME": user_name,
        **{name: f"{HOME_INSIDE}/{folder}" for name, folder in _CACHES.items()},
        "TELEMETRY_OPT_OUT": "yes",
    }


def split_secrets(env: Mapping[str, str]) -> tuple[dict[str, str], tuple[SecretSource, ...]]:
    """Separates plain variables from secrets: a value ``env:NAME`` or ``file:PATH``, or a variable named like one."""
    plain: dict[str, str] = {}
    secrets: list[SecretSource] = []
    for name, value in env.items():
        if value.startswith(("env:", "file:")):
            secrets.append(SecretSource(name=f"env_{name}", origin=value, variable=name))
        elif is_secret_name(name) and value:
            secrets.append(SecretSource(name=f"env_{name}", origin=f"literal:{value}", variable=name))
        else:
            plain[name] = value
    return plain, tuple(secrets)


def secret_file(origin: str, workspace: Path) -> Path:
    """The file that ``file:PATH`` means: ``~`` is the home folder, a relative path starts at the workspace."""
    return workspace / Path(origin.removeprefix("file:")).expanduser()


def model_key_mark() -> str:
    """The placeholder of the model key in argv."""
    return SECRET_MARK.format(name=MODEL_KEY)
