"""Does our check of YAML specs come to the verdict of OmegaConf, for all that TAO's dataclasses hold?

    pip install omegaconf                                 # in an environment that has taorunner too
    python tools/schemas/check_omegaconf.py wheels --pairs 5000 --releases 6.0.0 7.3.0
    python tools/schemas/check_omegaconf.py wheels --pairs 300 --sample tests/assets/omegaconf_verdicts.json

``wheels`` is the folder that ``spec_schemas.py`` reads. Of every schema of every release: the keys, types and defaults
of the shipped schema are compared with OmegaConf's own tree, and the complete default spec is judged by both, as dumped
and with every open value given. ``--pairs`` then draws leaves and odd values. The values come as text of a spec, as
overrides, as ``--set`` and as variables, in turn. Every difference is printed, with counts at the end.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def main() -> int:
    parser = argparse.ArgumentParser(description="compare our verdicts on YAML specs with OmegaConf's")
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--pairs", type=int, default=0, help="(leaf, odd value) pairs, over all releases")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--releases", nargs="*", help="only these")
    parser.add_argument("--sample", type=Path, help="write the pairs with OmegaConf's verdict to this file")
    parser.add_argument("--of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of is not None:
        from omegaconf_truth import compare

        json.dump(compare(options.of, options.pairs, options.seed), sys.stdout)
        return 0
    archives = [
        path
        for pattern in ("nvidia_tao_pytorch-*.zip", "nvidia_tao_core-*.whl")
        for path in sorted(options.wheels.glob(pattern), key=_numbers)
        if not options.releases or _release(path) in options.releases
    ]
    if not archives:
        print(f"no wheels in {options.wheels}", file=sys.stderr)
        return 2
    print(f"seed {options.seed}")
    counts: Counter[str] = Counter()
    pairs: list[dict[str, Any]] = []
    for number, archive in enumerate(archives):
        share = options.pairs // len(archives) + (number < options.pairs % len(archives))
        found = _of_archive(archive, share, options.seed)
        counts.update(found["counts"])
        pairs += found["pairs"]
        for line in found["differences"]:
            print(f"{_release(archive)}: {line}")
    for pair in pairs:
        if pair["ours"] != pair["omegaconf"]:
            print(
                f"{pair['release']} {pair['schema']} {pair['channel']}: {pair['text']!r}: ours {pair['ours']}"
            )
    differing = sum(pair["ours"] != pair["omegaconf"] for pair in pairs)
    for name in sorted(counts):
        print(f"{name}: {counts[name]}")
    if pairs:
        print(f"pairs: {len(pairs)}, of another verdict: {differing} ({100 * differing / len(pairs):.2f} %)")
    if options.sample is not None:
        _write_sample(options.sample, pairs)
    return 1 if differing or any(counts[name] for name in counts if "differing" in name) else 0


def _of_archive(archive: Path, pairs: int, seed: int) -> dict[str, Any]:
    """A process for each archive: their packages have the same names."""
    command = [sys.executable, __file__, str(archive.parent), "--of", str(archive)]
    command += ["--pairs", str(pairs), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _write_sample(path: Path, pairs: Sequence[dict[str, Any]]) -> None:
    names = ("schema", "release", "channel", "keys", "written", "omegaconf")
    rows = [json.dumps([pair[name] for name in names]) for pair in pairs]
    path.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


def _release(archive: Path) -> str:
    return archive.name.removesuffix(".zip").split("-")[1]


def _numbers(archive: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in _release(archive).split("."))


if __name__ == "__main__":
    sys.exit(main())
