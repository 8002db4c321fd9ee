"""``dataset stats`` as a person types it."""

from __future__ import annotations

from command_line import Cli
from shapes import SHAPES


def test_the_table_and_the_page(cli: Cli) -> None:
    SHAPES["vott"][1](cli.home / "drawn")
    done = cli("dataset", "stats", "drawn", "--html", "page.html")
    assert (done.code, done.err) == (0, "made page.html\n")
    first = [line.split()[0] for line in done.out.splitlines()]
    assert (first[0], sorted(first[1:4])) == ("class", ["Car", "person", "traffic"])
    assert "6 images; 6 boxes; 2 images without boxes" in done.out
    assert (cli.home / "page.html").read_text("utf-8").count("<figure>") == 6
    assert cli("dataset", "stats", "drawn", "--html", "page.html").code == 2
    assert cli("dataset", "stats", "drawn", "--json").json["images"] == 6
