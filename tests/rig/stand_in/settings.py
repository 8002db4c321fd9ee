"""How a test steers the stand-in: variables ``FAKE_…`` in the environment, or ``FAKE_…=value`` in a spec's comment.

``FAKE_EPOCHS``, ``FAKE_STEPS`` (4), ``FAKE_EPOCH_S`` (0; ``3,0.1`` is the first epoch, then every other one),
``FAKE_GATE`` (after that epoch a training waits for a file ``go`` beside ``seen.json``),
``FAKE_LINES`` (log lines more per epoch), ``FAKE_GPUS`` (how many NVIDIA_VISIBLE_DEVICES=all means, 2; without that
variable: how many there are, none), ``FAKE_STOP_S`` (3, for slow_stop), ``FAKE_MEMORY_MIB`` (for oom_killed),
``FAKE_READ_DATA=1`` (conversions and trainings read the data, see ``loaders``) and
``FAKE_FAIL``, one of ``FAILURES``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

FAILURES = {
    "exit0_fail_footer": "the job fails, the footer says so, the exit code is 0 in every generation",
    "silent_exit0_pyt55": "the job fails; no footer, no status line, exit code 0",
    "exit0_interrupted": "a SystemExit deep in the job is swallowed: PASS and exit code 0",
    "invalid_key": "the model's key is wrong",
    "spec_validation": "the spec does not validate",
    "hydra_unknown_key": "the spec has a key the schema lacks: console only, no status.json",
    "missing_file": "a file the spec names is not there",
    "export_exists": "the file to export is there already",
    "oom_runtimeerror": "the GPU runs out of memory after the first epoch",
    "oom_killed": "the host runs out of memory: the kernel kills the job (or it kills itself, without a limit)",
    "killed_137": "the container's process is killed",
    "shm_sigbus_135": "/dev/shm is too small: bus error",
    "traceback": "an unforeseen exception after the first epoch",
    "nan_pass": "the loss becomes NaN and the run passes all the same",
    "no_artifact": "PASS, success in status.json, and nothing written",
    "failure_line_but_continues": "an ERROR is logged (a FAILURE line in 7.x) and the job goes on to its good end",
    "slow_stop": "SIGTERM is ignored for FAKE_STOP_S seconds",
    "hang": "no sign of life after the first epoch",
    "early_stop": "no failure: training ends after half of its epochs",
}


@dataclass(frozen=True)
class Settings:
    epochs: int | None
    steps: int
    epochs_s: tuple[float, ...]
    gate: int | None
    lines: int
    fail: str
    stop_s: float
    memory_mib: int

    def epoch_s(self, done: int = 0) -> float:
        """How long the epoch after ``done`` epochs takes."""
        return self.epochs_s[min(done, len(self.epochs_s) - 1)]


def read(spec_text: str = "") -> Settings:
    """Raises ValueError for an unknown failure, because a test that asks for it would pass for nothing."""
    values = dict(re.findall(r"FAKE_([A-Z0-9_]+)=([\w.]+)", spec_text))
    values.update({name[5:]: value for name, value in os.environ.items() if name.startswith("FAKE_")})
    fail = values.get("FAIL", "")
    if fail and fail not in FAILURES:
        raise ValueError(f"FAKE_FAIL={fail} is none of {', '.join(FAILURES)}")
    return Settings(
        epochs=int(values["EPOCHS"]) if "EPOCHS" in values else None,
        steps=int(values.get("STEPS", 4)),
        epochs_s=tuple(map(float, values.get("EPOCH_S", "0").split(","))),
        gate=int(values["GATE"]) if "GATE" in values else None,
        lines=int(values.get("LINES", 0)),
        fail=fail,
        stop_s=float(values.get("STOP_S", 3)),
        memory_mib=int(values.get("MEMORY_MIB", 2048)),
    )
