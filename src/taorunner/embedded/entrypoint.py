"""The two commands of the embedded network; turns its failures into messages and exit codes.

Source: tao/pytorch.md sections 2 and 3: ``ACTION -e SPEC key=value ...``, footer ``Execution status: PASS|FAIL`` on
stderr, exit 0 or 1; errors in the command or the spec are reported before status.json exists. Unlike in TAO, an
interruption is a failure: SIGINT 130, SIGTERM 143.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from . import spec_text
from .console import Console, standard_console
from .failures import RunFailedError, RunInterruptedError, SpecError
from .run import Run, StopRequest
from .spec import Spec, load_spec, results_folder, write_resolved
from .spec_ranges import check_ranges
from .status_log import FAILURE, RUNNING, STARTED, StatusLog

Action = Callable[[Spec, Run], None]
ACTIONS = ("dataset_convert", "train", "evaluate", "inference", "export")
NOTICE = "TinyDet: a small CPU network in numpy that keeps TAO's contract; it is not a TAO network."


def main(arguments: Sequence[str], stop_request: StopRequest) -> int:
    """The exit code of ``python -m taorunner.embedded`` with these arguments."""
    parser = _parser()
    parsed, overrides = parser.parse_known_args(arguments)
    console = standard_console()
    try:
        if parsed.command == "sample-dataset":
            if overrides:
                parser.error(f"unrecognized arguments: {' '.join(overrides)}")
            if parsed.held_out >= parsed.images:
                parser.error(
                    f"--held-out {parsed.held_out} leaves none of --images {parsed.images} to train on"
                )
            return _sample_dataset(parsed, console, stop_request)
        code = _run_action(parsed.action, parsed.experiment_spec_file, overrides, console, stop_request)
    finally:
        console.close()
    Console(sys.stderr).line(f"Execution status: {'PASS' if code == 0 else 'FAIL'}")
    return code


def _run_action(
    action: str, spec_file: str | None, overrides: Sequence[str], console: Console, stop_request: StopRequest
) -> int:
    console.line(NOTICE)
    try:
        spec, folder = _prepared(action, spec_file, overrides)
    except SpecError as error:
        return _say(str(error))
    try:
        run = Run(action, folder, console, StatusLog(folder), stop_request)
    except OSError as error:
        return _say(f'cannot write results to "{folder}": {error.strerror}')
    title = action.capitalize()
    try:
        run.status.write(STARTED, f"Starting TinyDet {action}.")
        console.line(f"{title} results will be saved at: {folder}")
        write_resolved(spec, folder / "experiment.yaml")
        _implementation(action)(spec, run)
        run.status.write(RUNNING, f"{title} finished successfully.")
    except RunInterruptedError as error:
        console.close()
        return _fail(run, f"User/System interruption: {error}", code=128 + error.signal_number)
    except RunFailedError as error:
        console.close()
        return _fail(run, f"{error.kind}: {error}")
    except SpecError as error:
        console.close()
        return _fail(run, f"Configuration error: {error}")
    except (OSError, MemoryError) as error:
        console.close()
        return _fail(run, f"File system error: {error}" if isinstance(error, OSError) else "out of memory")
    except Exception as error:
        # For any exception, status.json and the footer must report the failure, and the log must hold the traceback.
        console.close()
        Console(sys.stderr).line(traceback.format_exc().rstrip())
        return _fail(run, f"{type(error).__name__}: {error}")
    return 0


def _prepared(action: str, spec_file: str | None, overrides: Sequence[str]) -> tuple[Spec, Path]:
    if spec_file is None:
        raise SpecError("no spec file given (add -e SPEC.yaml)")
    spec = load_spec(Path(spec_file), overrides)
    check_ranges(spec, action)
    return spec, results_folder(spec, action)


def _implementation(action: str) -> Action:
    """Imports lazily, as importing onnx takes half a second and only export needs it."""
    if action == "dataset_convert":
        from .conversion import convert

        return convert
    if action == "train":
        from .training import train

        return train
    if action == "evaluate":
        from .evaluation import evaluate

        return evaluate
    if action == "inference":
        from .inference import infer

        return infer
    from .onnx_export import export

    return export


def _say(message: str) -> int:
    Console(sys.stderr).line(f"error: {message}")
    return 1


def _fail(run: Run, message: str, code: int = 1) -> int:
    _say(message)
    try:
        run.status.write(FAILURE, message, verbosity="ERROR")
    except OSError as error:
        _say(f'cannot write "{run.folder / "status.json"}": {error.strerror}')
    return code


def _sample_dataset(parsed: argparse.Namespace, console: Console, stop_request: StopRequest) -> int:
    from .sample_dataset import write_sample_dataset

    directory = Path(parsed.directory)
    try:
        write_sample_dataset(
            directory, parsed.images, parsed.held_out, parsed.size, parsed.seed, stop_request
        )
    except RunInterruptedError as error:
        _say(f"interrupted: {error}")
        return 128 + error.signal_number
    except RunFailedError as error:
        return _say(str(error))
    except OSError as error:
        return _say(f'cannot write "{directory}": {error.strerror}')
    parts = f'"{directory / "train"}" and "{directory / "test"}"' if parsed.held_out else f'"{directory}"'
    console.line(f"{parsed.images} generated images in {parts}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m taorunner.embedded", description=NOTICE, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True)
    tinydet = commands.add_parser(
        "tinydet",
        help="run an action of the network",
        description=NOTICE,
        epilog=spec_text.__doc__,
        usage="%(prog)s ACTION -e SPEC.yaml [key=value ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    tinydet.add_argument("action", choices=ACTIONS, metavar="ACTION", help=", ".join(ACTIONS))
    tinydet.add_argument("-e", "--experiment_spec_file", metavar="SPEC.yaml", help="the spec file")
    sample = commands.add_parser("sample-dataset", help="write a generated KITTI dataset", allow_abbrev=False)
    sample.add_argument("directory", metavar="DIR", help="a new or empty folder")
    sample.add_argument("--images", type=_at_least(1), default=320, help="total number of images (320)")
    sample.add_argument(
        "--held-out",
        type=_at_least(0),
        default=0,
        help="number of images in DIR/test; the others go to DIR/train (0)",
    )
    sample.add_argument("--seed", type=_at_least(0), default=1, help="seed of the random generator (1)")
    sample.add_argument("--size", type=_at_least(32), default=96, help="width and height in pixels (96)")
    return parser


def _at_least(lowest: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{value} is less than {lowest}")
        return value

    return number
