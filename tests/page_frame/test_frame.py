"""The frame of every HTML file."""

from __future__ import annotations

from pathlib import Path

import pytest

from taorunner.page_frame.frame import POLICY, as_html, environment, page, text


def test_a_page_is_whole_and_its_title_is_text() -> None:
    html = page("<b>cars</b>", "<p>body</p>", "p { color: red }", "taorunner test")
    assert html.startswith('<!doctype html>\n<html lang="en">\n')
    assert f'<meta http-equiv="Content-Security-Policy" content="{POLICY.replace(chr(39), "&#39;")}">' in html
    assert '<meta name="generator" content="taorunner test">' in html
    assert "<title>&lt;b&gt;cars&lt;/b&gt;</title>" in html
    assert "<p>body</p>" in html and "p { color: red }" in html


def test_text_is_escaped_and_has_no_control_characters(tmp_path: Path) -> None:
    hostile = "<script>\u202e\x1b[31m\"'&"
    harmless = "&lt;script&gt;\ufffd\ufffd[31m&#34;&#39;&amp;"
    (tmp_path / "x.html").write_text('<i title="{{ one }}">{{ one }}</i>{{ two }}')
    drawn = environment(tmp_path).get_template("x.html").render(one=hostile, two=as_html("<br>"))
    assert drawn == f'<i title="{harmless}">{harmless}</i><br>'
    assert text(hostile) == harmless.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


def test_a_name_that_a_template_is_not_given_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.html").write_text("{{ missing }}")
    with pytest.raises(Exception, match="missing"):
        environment(tmp_path).get_template("x.html").render()
