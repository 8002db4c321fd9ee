"""Shows the result of ``networks sync``: the schemas read, and what could not be read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.text import Text

from taorunner.console.base.cells import fact_line
from taorunner.console.base.formatting import clean
from taorunner.console.base.json_output import write_json
from taorunner.console.base.theme import make_console
from taorunner.images.spec_sync import Synced


def print_synced(synced: Sequence[Synced], *, json: bool) -> None:
    if json:
        write_json([_facts(one) for one in synced], sys.stdout.buffer)
        return
    console = make_console(sys.stdout, os.environ)
    for one in synced:
        console.print(Text(clean(one.reference), style="title"), soft_wrap=True)
        packages = ", ".join(f"{name} {version or ''}".strip() for name, version in one.packages.items())
        facts = {
            "digest": one.digest or one.image_id,
            "packages": packages,
            "kept": f"{len(one.schemas)}: {', '.join(one.schemas)}",
        }
        for label, value in facts.items():
            console.print(fact_line(label, clean(value)), soft_wrap=True)
        for name, why in sorted(one.failed.items()):
            console.print(fact_line("not read", f"{clean(name)}: {clean(why)}"), soft_wrap=True)


def _facts(one: Synced) -> dict[str, object]:
    return {
        "image": one.reference,
        "image_id": one.image_id,
        "digest": one.digest,
        "packages": dict(one.packages),
        "schemas": list(one.schemas),
        "not_read": dict(sorted(one.failed.items())),
    }
