"""Gives changed forms of valid data to every parser of data that others write: 10^6 inputs take about an hour.

    python tools/foreign_data.py --inputs 100000 --first 0 --minutes 20 --only NGC --keep FOLDER
    python tools/foreign_data.py --guided --minutes 20 --first SEED --keep FOLDER

Ends with 1 when a parser raised what it must not raise, took longer than two seconds, or the process took more than
300 MiB. Each fault is printed with the seed that makes its input again.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument(
        "--guided", action="store_true", help="change further what reaches new code; needs --minutes"
    )
    parser.add_argument("--only", default="", help="readers with this text in their name")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that were faults")
    given = parser.parse_args()
    if given.guided and math.isinf(given.minutes):
        parser.error("--guided needs --minutes")
    sys.path.insert(0, str(ROOT / "tests" / "foreign_data"))
    from trial import try_all, try_guided

    with tempfile.TemporaryDirectory() as place:
        if given.guided:
            result, steps = try_guided(Path(place), given.first, given.minutes * 60, given.only)
            print(f"{steps} steps of the program were reached")
        else:
            result = try_all(Path(place), given.first, given.inputs, given.minutes * 60, given.only)
    for number, fault in enumerate(result.faults):
        count = result.kinds[(fault.reader, fault.where)]
        print(f"{fault.where} ({count}x), seed {fault.seed!r}: {fault.what!r}; {len(fault.data)} bytes")
        if given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{number}.{fault.reader.replace(' ', '-').replace('/', '-')}").write_bytes(
                fault.data
            )
    slow, seed = result.slowest
    print(
        f"{result.inputs} inputs, {len(result.faults)} kinds of faults, slowest {slow:.2f} s ({seed}), "
        f"{result.peak_mib:.0f} MiB"
    )
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
