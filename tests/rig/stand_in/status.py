"""status.json as TAO writes it: JSON lines, appended, flushed, dates without leading zeros, metrics that stick."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any


class StatusFile:
    """One run's view of a status.json. ``path`` None: this action leaves no record."""

    def __init__(self, path: Path | None, mode: str = "a") -> None:
        self.path = path
        self.kept: dict[str, dict[str, Any]] = {}
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open(mode).close()

    def write(
        self,
        status: str,
        message: str | None = None,
        *,
        fields: dict[str, Any] | None = None,
        kpi: dict[str, Any] | None = None,
        graphical: dict[str, Any] | None = None,
    ) -> None:
        """One record. kpi and graphical are repeated in all later ones."""
        if kpi:
            self.kept["kpi"] = {**self.kept.get("kpi", {}), **kpi}
        if graphical:
            self.kept["graphical"] = {**self.kept.get("graphical", {}), **graphical}
        if self.path is None:
            return
        now = datetime.now()
        record: dict[str, Any] = {
            **(fields or {}),
            "date": f"{now.month}/{now.day}/{now.year}",
            "time": f"{now.hour}:{now.minute}:{now.second}",
            "status": status,
            "verbosity": "INFO",
        }
        if message is not None:
            record["message"] = message
        record.update(self.kept)
        with self.path.open("a") as target:
            target.write(json.dumps(record) + "\n")
