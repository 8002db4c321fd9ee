"""Every form in which programs print a secret is masked."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from taorunner.backends.masking import Masking

ODD = 'c4nary/key+ with="é'
LINES = "c4nary-first-line\nc4nary-second-line"
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "json in utf-8": lambda text: json.dumps(text, ensure_ascii=False),
    "json in json": lambda text: json.dumps(json.dumps({"key": text})),
    "python": repr,
    "path of an address": quote,
    "part of an address": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: b64encode(text.encode() + b"zz").decode(),
    "base64 behind one byte": lambda text: b64encode(b"x" + text.encode() + b"zz").decode(),
    "base64 behind two bytes": lambda text: b64encode(b"xx" + text.encode() + b"zz").decode(),
}


@pytest.mark.parametrize("secret", [ODD, LINES])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_secret_is_masked(form: str, secret: str) -> None:
    written = FORMS[form](secret)
    masked = Masking([secret]).masked(f"before {written} behind".encode())
    assert b"***" in masked and masked.startswith(b"before ") and masked.endswith(b" behind")
    middle = masked.removeprefix(b"before ").removesuffix(b" behind").replace(b"***", b"")
    assert len(middle) <= 18, "at most what base64, quotes and an object add around it"


def test_a_plain_key_is_looked_for_in_few_forms() -> None:
    """Each form is searched for in everything that a run prints."""
    assert len(Masking(["c4nary-key-1234"])._forms) <= 9
