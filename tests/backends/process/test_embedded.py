"""The embedded network as a process, and what is said without its packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from taorunner.backends.contract import Launch
from taorunner.backends.process.embedded import EmbeddedBackend
from taorunner.errors import Severity
from taorunner.planning.model.plan import RunPlan


def test_it_is_started_as_a_module_of_this_python(make_plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    plan = make_plan("train", "-e", "spec.yaml", backend="embedded")
    request = EmbeddedBackend().request(plan, Launch("r1", tmp_path / "r1"))
    assert request.argv == ("train", "-e", "spec.yaml")
    assert request.command == (sys.executable, "-m", "taorunner.embedded", "train", "-e", "spec.yaml")
    assert request.workdir == str(tmp_path / "r1")


def test_a_mistake_in_it_is_a_failed_run(
    make_plan: Callable[..., RunPlan], run_to_end: Callable[..., tuple[object, ...]]
) -> None:
    _, status, _, err = run_to_end(EmbeddedBackend(), make_plan("no-such-task", backend="embedded"))
    assert getattr(status, "exit_code", None) not in (0, None)
    assert err


def test_check_with_the_packages(make_plan: Callable[..., RunPlan]) -> None:
    backend = EmbeddedBackend()
    assert [finding.severity for finding in backend.check()] == [Severity.OK]
    assert backend.prepare(make_plan("train"), lambda progress: None) is None


def test_without_the_packages_the_extra_is_named() -> None:
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if not p.endswith('site-packages')]\n"
        "from taorunner.backends.process.embedded import EmbeddedBackend, missing_packages\n"
        "from taorunner.errors import MachineError\n"
        "from types import SimpleNamespace\n"
        "sys.path.clear(); sys.path_importer_cache.clear()\n"
        "(finding,) = EmbeddedBackend().check(); print(finding.severity.value, finding.message, '|', finding.hint)\n"
        "try: EmbeddedBackend().prepare(None, print)\n"
        "except MachineError as error: print(error.message)\n"
    )
    source = str(Path(__file__).resolve().parents[3] / "src")
    preamble = f"import sys; sys.path.insert(0, {source!r}); import taorunner.planning.model.plan\n"
    done = subprocess.run([sys.executable, "-c", preamble + code], capture_output=True, text=True, check=True)
    says = "the embedded network needs numpy, pillow, onnx, which are not installed"
    assert done.stdout == f"error {says} | pip install 'taorunner[embedded]'\n{says}\n"


def test_its_packages_are_not_loaded_here() -> None:
    code = (
        "import sys; from taorunner.backends.registry import load_backend; load_backend('embedded').check();"
        "print(sorted({'numpy', 'PIL', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_one_missing_package_is_named_in_the_singular() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None  # a module that cannot be found\n"
        "from taorunner.backends.process.embedded import EmbeddedBackend\n"
        "print(EmbeddedBackend().check()[0].message)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "the embedded network needs onnx, which is not installed\n"
