"""The page in a real browser: nothing leaves it, nothing in it is executed, and it is drawn in light and dark."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_report import everything
from made_runs import AT

from taorunner.reports.contents import contents_of
from taorunner.reports.page import report_page
from taorunner.runs.state.lookup.short_ids import short_ids
from taorunner.runs.state.store import RunStore

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """An address on this machine, and what was asked for there."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", paths
    finally:
        server.shutdown()
        server.server_close()


def browse(folder: Path, html: str, *options: str) -> str:
    """What the browser has of a page when it is loaded."""
    page = folder / "page.html"
    page.write_text(html, "utf-8")
    done = subprocess.run(
        [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom", *options, page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def report(root: Path, title: str) -> str:
    store = RunStore(root / ".taorunner")
    contents = contents_of(store, [one for one in everything(root) if one.action == "train"])
    ids = short_ids([record.id for record in store.records()], store.folder_names())
    return report_page(title, contents, ids, lambda one, image: "", AT)


def test_no_request_leaves_the_page(tmp_path: Path, asked: tuple[str, list[str]]) -> None:
    address, paths = asked
    hostile = f'<img src="{address}/img"><script src="{address}/script"></script><style>@import "{address}/css"</style>'
    browse(tmp_path, hostile)
    assert {"/img", "/script", "/css"} <= set(paths)  # so that the next line can fail
    paths.clear()
    html = report(tmp_path / "w", hostile)
    tried = html.replace("</body>", f"{hostile}</body>")
    dom = browse(tmp_path, html)
    assert hostile.partition(">")[0].replace('"', "&quot;").replace("<", "&lt;")[:12] in dom.replace(
        '"', "&quot;"
    )
    browse(tmp_path, tried)  # also where a text became markup, the policy of the page holds
    assert paths == []


def test_the_page_is_drawn_in_light_and_in_dark(tmp_path: Path) -> None:
    from PIL import Image

    html = report(tmp_path / "w", "cars")
    papers = []
    for number, options in enumerate(([], ["--blink-settings=preferredColorScheme=0"])):
        shot = tmp_path / f"{number}.png"
        browse(tmp_path, html, "--window-size=1200,1500", f"--screenshot={shot}", *options)
        with Image.open(shot) as image:
            colours = image.convert("RGB").getcolors(1 << 24) or []
        papers.append(max(colours)[1])
        assert len(colours) > 200
    assert papers == [(255, 255, 255), (0x14, 0x17, 0x1C)]


def test_a_run_that_is_unchecked_is_not_drawn(tmp_path: Path) -> None:
    from PIL import Image

    html = report(tmp_path / "w", "cars")
    drawn = []
    for number, page in enumerate((html, html.replace(" checked>", ">"))):
        shot = tmp_path / f"{number}.png"
        browse(tmp_path, page, "--window-size=1200,1500", f"--screenshot={shot}")
        with Image.open(shot) as image:
            colours = {colour: count for count, colour in image.convert("RGB").getcolors(1 << 24) or []}
        drawn.append(colours.get((0x14, 0x34, 0x7D), 0))
    assert drawn[1] < drawn[0] / 3
