"""A report as one HTML file: what is in it, laid out by the templates. Reads nothing but the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

from taorunner.console.base.formatting import minute
from taorunner.page_frame.frame import environment, page
from taorunner.reports.charts.colours import colour_css
from taorunner.reports.contents import Contents
from taorunner.reports.sections.curves import curves_of
from taorunner.reports.sections.failures import MOST_FAILURES, failures_of
from taorunner.reports.sections.lineage import MOST_TREES, trees_of
from taorunner.reports.sections.ranking import facts_of, ranking_of
from taorunner.reports.sections.scores import Picture, scores_of
from taorunner.reports.sections.side_by_side import side_by_side_of
from taorunner.reports.sections.sweeps import sweeps_of
from taorunner.reports.sections.words import shortened
from taorunner.reports.swept import Swept
from taorunner.text import amount
from taorunner.version import __version__

GENERATOR = "taorunner report"
"""In the head of each report: a file with it may be replaced by a newer one."""
_TEMPLATES = Path(__file__).parent / "templates"


def report_page(
    title: str, contents: Contents, ids: Mapping[str, str], picture: Picture, now: datetime, zone: tzinfo | None = None,
    swept: Sequence[Swept] = (),
) -> str:  # fmt: skip
    """``ids`` are the short ids of all runs that are named."""
    curves = curves_of(contents, ids)
    count, sweeps = len(contents.comparison.runs), sweeps_of(swept)
    body = environment(_TEMPLATES).get_template("report.html").render(
        title=shortened(title, 100), made=f"{amount(count, 'run')}, {minute(now, zone)}", version=__version__,
        facts=facts_of(contents, ids, now), ranking=ranking_of(contents, ids, now), curves=curves,
        sides=side_by_side_of(contents, ids) if count > 1 or contents.comparison.metrics else None,
        trees=trees_of(contents.trees, ids), more_trees=max(0, len(contents.trees) - MOST_TREES),
        scores=scores_of(contents.scored, ids, picture), failures=failures_of(contents.failures, ids),
        more_failures=max(0, len(contents.failures) - MOST_FAILURES),
        sweeps=sweeps, more_sweeps=len(swept) - len(sweeps),
    )  # fmt: skip
    style = colour_css() + (_TEMPLATES / "report.css").read_text("utf-8") + str(curves.rules)
    return page(f"{shortened(title, 100)} - report", body, style, GENERATOR)


def sweep_page(title: str, swept: Swept, now: datetime, zone: tzinfo | None = None) -> str:
    """One sweep alone."""
    body = environment(_TEMPLATES).get_template("sweep.html").render(
        one=sweeps_of([swept])[0], made=minute(now, zone), version=__version__
    )  # fmt: skip
    style = colour_css() + (_TEMPLATES / "report.css").read_text("utf-8")
    return page(f"{shortened(title, 100)} - sweep", body, style, GENERATOR)
