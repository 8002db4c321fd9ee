import io
import json
import os
from datetime import datetime, timezone

import pytest

from taorunner.console.base.json_output import JsonView, write_json
from taorunner.events import MetricReported, from_json_line

AT = datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_each_event_is_one_line_that_reads_back():
    stream = io.BytesIO()
    events = [
        MetricReported(run="r", at=AT, name="läßt\n警", value=0.5, epoch=1),
        MetricReported(run="r", at=AT, name="loss", value=float("inf")),
    ]
    for event in events:
        JsonView(stream).show(event)
    lines = stream.getvalue().decode("utf-8").splitlines()
    assert [from_json_line(line) for line in lines] == events


def test_every_line_is_written_at_once():
    read, write = os.pipe()
    os.set_blocking(read, False)
    with open(write, "wb") as stream:  # noqa: PTH123 - a descriptor
        for show in (
            lambda: JsonView(stream).show(MetricReported(run="r", at=AT, name="x", value=1)),
            lambda: write_json({}, stream),
        ):
            show()
            assert os.read(read, 1000).endswith(b"}\n")
    os.close(read)


def test_undecodable_names_stay_json():
    stream = io.BytesIO()
    write_json({"path": b"caf\xe9".decode("utf-8", "surrogateescape")}, stream)
    assert json.loads(stream.getvalue().decode("utf-8")) == {"path": "caf\udce9"}


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json([float("nan")], io.BytesIO())
