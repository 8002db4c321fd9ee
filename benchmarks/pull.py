"""How fast is a download of 2 GB from loopback, verified with SHA-256, beside curl, which does not verify?"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from timing import taking_turns

from taorunner.pretrained.download import Transfer
from taorunner.pretrained.http import Patience, Wire
from taorunner.pretrained.ngc import RemoteFile

SIZE = 2_000_000_000
BLOCK = 10_000_000


def measure(times: int) -> None:
    with tempfile.TemporaryDirectory(prefix="taorunner-bench-") as name:
        folder = Path(name)
        source = folder / "weights.bin"
        digest = hashlib.sha256()
        with source.open("wb") as file:
            for _ in range(SIZE // BLOCK):
                block = os.urandom(BLOCK)
                digest.update(block)
                file.write(block)
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "file_server.py"), str(source)],
            stdout=subprocess.PIPE,
        )
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/weights.bin"
            wire = Wire(Patience(stop=threading.Event()))
            file_ = RemoteFile("ours.bin", SIZE, digest.hexdigest())

            def ours() -> None:
                (folder / "ours.bin").unlink(missing_ok=True)
                Transfer(wire, file_, folder, lambda: url, lambda _have: None).run()

            def curl() -> None:
                (folder / "curl.bin").unlink(missing_ok=True)
                subprocess.run(["curl", "-s", "-o", str(folder / "curl.bin"), url], check=True)

            our_times, curl_times = taking_turns({"pull": ours, "curl": curl}, times)
        finally:
            server.kill()
            server.wait()
    print("download of 2 GB on loopback")
    for each in (our_times, curl_times):
        print(f"  {each.name:5} {SIZE / each.median_s / 1e6:7.0f} MB/s")
    rate = curl_times.median_s / our_times.median_s
    best = curl_times.least_s / our_times.least_s
    load = os.getloadavg()[0]
    print(
        f"  rate of pull ÷ rate of curl: {rate:.2f}, wanted ≥ 0.9   (best ÷ best {best:.2f}; load {load:.1f})\n"
    )
