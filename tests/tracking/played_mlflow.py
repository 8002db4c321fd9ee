"""A server that plays MLflow's interface on loopback, with faults on demand. The real one is in ``test_real_server``."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class PlayedMlflow:
    """``faults`` are used up, first first: a status with headers, or seconds to wait. ``always`` answers everything."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.faults: list[tuple[int, dict[str, str]] | float] = []
        self.always: tuple[int, dict[str, str]] | None = None
        self.calls: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.delay_s = 0.0
        self.lock = threading.Lock()
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(
                    {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                )

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                what = urlsplit(self.path).path.removeprefix("/api/2.0/mlflow/")
                time.sleep(played.delay_s)
                with played.lock:
                    status, headers, found = played.answer(what, body, dict(self.headers))
                data = json.dumps(found).encode()
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(data))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # the other side has gone
                    return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(
        self, what: str, body: dict[str, Any], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        self.calls.append((what, body, headers))
        if self.always is not None:
            return (*self.always, {"error_code": "NO", "message": "no"})
        if self.faults:
            fault = self.faults.pop(0)
            if not isinstance(fault, float):
                return (*fault, {})
            time.sleep(fault)
        if what == "experiments/get-by-name":
            name = body["experiment_name"]
            if name not in self.experiments:
                return 404, {}, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no experiment"}
            return (
                200,
                {},
                {"experiment": {"experiment_id": self.experiments[name], "lifecycle_stage": "active"}},
            )
        if what == "experiments/create":
            self.experiments[body["name"]] = str(len(self.experiments) + 1)
            return 200, {}, {"experiment_id": self.experiments[body["name"]]}
        if what == "runs/search":
            tag = body["filter"].partition(" = ")[2].strip("'")
            found = [one for one in self.runs.values() if one["tags"].get("taorunner.run") == tag]
            return 200, {}, {"runs": [{"info": {"run_id": one["id"]}} for one in found]} if found else {}
        if what == "runs/create":
            run = {
                "id": f"r{len(self.runs) + 1}", "name": body["run_name"], "status": "RUNNING", "metrics": {}, "params": {},
                "tags": {tag["key"]: tag["value"] for tag in body["tags"]},
            }  # fmt: skip
            self.runs[run["id"]] = run
            return 200, {}, {"run": {"info": {"run_id": run["id"]}}}
        run = self.runs[body["run_id"]]
        if what == "runs/update":
            run["status"] = body["status"]
            return 200, {}, {}
        for metric in body["metrics"]:
            points = run["metrics"].setdefault(metric["key"], [])
            if metric not in points:
                points.append(metric)
        run["params"] |= {one["key"]: one["value"] for one in body["params"]}
        run["tags"] |= {one["key"]: one["value"] for one in body["tags"]}
        return 200, {}, {}

    def points(self, metric: str) -> list[tuple[int, Any]]:
        (run,) = self.runs.values()
        return [(one["step"], one["value"]) for one in run["metrics"].get(metric, [])]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
