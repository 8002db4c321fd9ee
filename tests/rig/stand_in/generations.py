"""What differs between the generations of TAO's containers, as one table.

Source: tao/pytorch.md sections 2 and 3, tao/tensorflow.md sections 2.3, 3 and 5.2.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Generation:
    """``exit_on_failure`` is the entrypoint's code when the job failed; 0 where main() drops the failure.

    ``is_piped``: the entrypoint reads the job through a pipe and prints bracketed lines as CR + text, without LF.
    ``first_epoch``/``last_is_max``: how status.json counts. ``records_every_failure``: each exception leaves a
    FAILURE line; else RuntimeError, AssertionError and KeyError leave none. ``mirrors_log``: each log record
    becomes a status line.
    """

    name: str
    family: str
    exit_on_failure: int
    is_piped: bool
    footer_to_stderr: bool
    success: str
    first_epoch: int = 1
    last_is_max: bool = False
    records_every_failure: bool = True
    mirrors_log: bool = False


TABLE = {
    each.name: each
    for each in (
        Generation("tf1", "tf1", 255, False, False, "SUCCESS"),
        Generation("tf2_5.0", "tf2", 255, False, False, "SUCCESS"),
        Generation("tf2_6.0", "tf2", 0, True, True, "RUNNING"),
        Generation("pyt_5.2", "pyt", 1, False, False, "SUCCESS"),
        Generation("pyt_5.5", "pyt", 0, True, True, "RUNNING"),
        Generation("pyt_6", "pyt", 1, True, True, "RUNNING", 0, True, False),
        Generation("pyt_7", "pyt", 1, True, True, "RUNNING", 0, True, False, True),
        Generation("deploy_5.5", "deploy", 0, True, True, "RUNNING"),
        Generation("deploy_7", "deploy", 1, True, True, "SUCCESS", 0, True, False, True),
        Generation("data_services", "data_services", 0, True, False, "RUNNING", 0, True, False),
    )
}


def current() -> Generation:
    """The one the image was made for, or the variable says. Raises KeyError for an unknown name."""
    return TABLE[os.environ.get("TAO_FAKE_GENERATION", "pyt_7")]
