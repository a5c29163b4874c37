#!/usr/bin/python3
"""Three cameras that are lost every few seconds, for half an hour: does the daemon grow?

    tests/bench/daemon/soak.py BUILD [MINUTES]

Every four seconds one camera in turn closes its connections, refuses them, ends its stream, forgets
its path, falls silent or sends noise. Prints the resident memory that is its own each minute, and at the end its slope
over the second half (least squares): the daemon is flat if that is less than 1 MB an hour. Exits with 1
if it is not, or if a camera did not come back.
"""
import sys
import time

import live

live.build(__doc__)
from harness import Camera, Daemon, stream  # it reads the environment

MINUTES = float(sys.argv[2]) if len(sys.argv) > 2 else 30
FAULTS = ("close", "down 1", "end", "404 1", "silence 3", "garbage 2")
EVERY_S = 4.0
FLAT_KB_H = 1024


def slope(points):
    """kB an hour, of (seconds, kB)."""
    n = len(points)
    mean_t, mean_y = (sum(p[k] for p in points) / n for k in (0, 1))
    return 3600 * (sum((t - mean_t) * (y - mean_y) for t, y in points) /
                   sum((t - mean_t) ** 2 for t, _ in points))


def hear(daemon, seconds, last):
    """Notes when each stream had its last result; keeps nothing else."""
    for message in daemon.ear.listen(seconds):
        if message["kind"] == "detection":
            last[message["stream"]] = message["_mono"]
    daemon.ear.messages.clear()


def soak(cameras, daemon):
    names = list(cameras)
    for name in names:
        daemon.ear.wait(f"detection/{name}/", 60)
    begin, sizes, last, turn = time.monotonic(), [], {}, 0
    while (now := time.monotonic() - begin) < 60 * MINUTES:
        cameras[names[turn % 3]].fault(FAULTS[turn // 3 % len(FAULTS)])
        turn += 1
        hear(daemon, EVERY_S, last)
        sizes.append((now, daemon.resident_kb()))
        late = {n: round(time.monotonic() - t) for n, t in last.items() if time.monotonic() - t > 30}
        if late:
            sys.exit(f"no result for so many seconds: {late}\n{daemon.log()[-4000:]}")
        if turn % 15 == 0:
            print(f"{now / 60:5.1f} min  {turn:4} losses  {sizes[-1][1]} kB", flush=True)
    half = sizes[len(sizes) // 2:]
    grows = slope(half)
    print(f"{turn} losses in {MINUTES:g} minutes; resident {sizes[0][1]} kB at first, "
          f"{min(y for _, y in half)} to {max(y for _, y in half)} kB in the second half, slope "
          f"{grows:+.0f} kB/h")
    return grows < FLAT_KB_H


def main():
    with Camera() as a, Camera("--codec", "h265") as b, Camera("--codec", "mjpeg") as c:
        cameras = {"a": a, "b": b, "c": c}
        config = {name: stream(camera.url, timeout_ms=1500) for name, camera in cameras.items()}
        with Daemon(config) as daemon:
            flat = soak(cameras, daemon)
            daemon.stop()
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
