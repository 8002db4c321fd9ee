"""The HTTP client with the proxies and certificates that the environment names.

httpx would end with an ImportError, an SSLError or a ValueError for a wrong setting; here the variable is named.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from taorunner.errors import MachineError
from taorunner.text import printable

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The first that is set names the trusted certificates, a file or a folder. httpx itself reads only the first."""


def make_client(environ: Mapping[str, str] = os.environ, **settings: Any) -> httpx.Client:
    """A client with ``settings``. Raises MachineError for a proxy or a file of certificates that cannot be used."""
    context = _certificates(environ)
    try:
        return httpx.Client(verify=context if context is not None else True, **settings)
    except ImportError:
        raise MachineError(
            f"the proxy {_shown(_wrong_proxy())} needs the package socksio, which is not installed",
            hint="pip install 'httpx[socks]', or name an HTTP proxy in HTTPS_PROXY",
        ) from None
    except (ValueError, httpx.InvalidURL):
        raise MachineError(
            f"{_shown(_wrong_proxy())} is not the address of a proxy",
            hint="write it as http://HOST:PORT, or unset the variable",
        ) from None


def _certificates(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """None when no variable names them."""
    name = next((name for name in CERTIFICATE_VARIABLES if environ.get(name)), None)
    if name is None:
        return None
    path = environ[name]
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError, too: an empty file, or one without a certificate
        is_content = isinstance(error, ssl.SSLError)
        reason = "it holds no certificate" if is_content else (error.strerror or str(error)).lower()
        raise MachineError(
            f'the certificates of {name} ("{printable(path)}") cannot be read: {reason}',
            hint=f"correct {name}, or unset it",
        ) from None


def _wrong_proxy() -> tuple[str, str]:
    """The kind of the first proxy that httpx does not accept, and its address."""
    found = sorted((kind, address) for kind, address in getproxies().items() if kind != "no")
    for kind, address in found:
        try:
            proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
        except (ValueError, httpx.InvalidURL):
            return kind, address
        if proxy.url.scheme.startswith("socks"):
            return kind, address
    return found[0] if found else ("all", "")


def _shown(proxy: tuple[str, str]) -> str:
    """``"socks5://host:1080" (ALL_PROXY)``, without user and password."""
    kind, address = proxy
    try:
        parts = urlsplit(address)
        where = parts.netloc.rpartition("@")[2] or parts.path.rpartition("@")[2]
        address = f"{parts.scheme}://{where}" if parts.netloc else where
    except ValueError:
        address = address.rpartition("@")[2]
    return f'"{printable(address[:200])}" ({kind.upper()}_PROXY)'
