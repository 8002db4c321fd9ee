"""What does a person type when a registry asks for a login? No secret is looked at, only whether there is one."""

from __future__ import annotations

import os


def login_hint(image: str) -> str:
    """The command that logs in to the registry of that image."""
    registry = image.split("/", 1)[0] if "/" in image else ""
    if not ("." in registry or ":" in registry or registry == "localhost"):
        return "docker login"
    if registry == "nvcr.io":
        return _ngc_login()
    return f"docker login {registry}"


def _ngc_login() -> str:
    """The user name is the word ``$oauthtoken`` itself. Source: tao/peers.md section 4, NGC/registry login."""
    if os.environ.get("NGC_API_KEY"):
        return "echo \"$NGC_API_KEY\" | docker login nvcr.io --username '$oauthtoken' --password-stdin"
    return (
        "docker login nvcr.io --username '$oauthtoken'  (just so; the password is your NGC API key, "
        "made at https://org.ngc.nvidia.com/setup/api-key)"
    )
