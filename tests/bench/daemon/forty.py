#!/usr/bin/python3
"""Many cameras at once: how soon do they live, what do they get, and how soon are they back?

    tests/bench/daemon/forty.py BUILD [CAMERAS]

So many streams (40) of one test camera, 320x240 at 5 frames a second, H.264, each with a watch of persons at
128x96 once a second. Prints how long after the start, and after each fault of the camera ended, the streams had
their next result (first, middle, last), what the daemon holds, and how many results came. Exits with 1 if a
stream did not come back within a minute.
"""
import os
import sys
import time

import live

live.build(__doc__)
from harness import Camera, Daemon, stream  # it reads the environment

CAMERAS = int(sys.argv[2]) if len(sys.argv) > 2 else 40
FAULTS = (("down 5", 5), ("close", 0), ("silence 12", 12))  # and for how many seconds
SPAN_S = 30


def results(daemon, seconds):
    """What is heard in that time; nothing is kept."""
    heard = [m for m in daemon.ear.listen(seconds) if m["kind"] == "detection"]
    daemon.ear.messages.clear()
    return heard


def until_all(daemon, what, since):
    """Waits until every stream has had a result later than that."""
    took, end = {}, since + 60
    while len(took) < CAMERAS and time.monotonic() < end:
        for m in results(daemon, 0.2):
            if m["_mono"] > since:
                took.setdefault(m["stream"], m["_mono"] - since)
    order = sorted(took.values())
    if len(order) < CAMERAS:
        sys.exit(f"{what}: {len(order)} of {CAMERAS} had a result\n{daemon.log()[-4000:]}")
    print(f"{what:12} first {order[0]:.1f}, middle {order[len(order) // 2]:.1f}, last {order[-1]:.1f} s",
          flush=True)


def processor_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def main():
    with Camera(film="pattern:320x240@5") as camera:
        streams = {f"camera{i}": stream(camera.url, {"phrases": ["person"], "rate": 1}) for i in range(CAMERAS)}
        with Daemon(streams) as daemon:
            until_all(daemon, "start", daemon.started)
            pid = daemon.process.pid
            before = processor_s(pid)
            heard = results(daemon, SPAN_S)
            waits = sorted(m["latency_ms"]["total"] for m in heard)
            print(f"{len(heard) / SPAN_S:.1f} results a second of {CAMERAS}, {waits[len(waits) // 2]:.0f} ms middle, "
                  f"{waits[len(waits) * 99 // 100]:.0f} p99; {(processor_s(pid) - before) / SPAN_S:.2f} processors, "
                  f"{len(os.listdir(f'/proc/{pid}/task'))} threads, {len(os.listdir(f'/proc/{pid}/fd'))} files, "
                  f"{daemon.resident_kb() / 1000:.0f} MB", flush=True)
            for fault, seconds in FAULTS:
                camera.fault(fault)
                until_all(daemon, fault, time.monotonic() + seconds)
            print(f"ended in {daemon.stop():.1f} s; {CAMERAS} cameras")


if __name__ == "__main__":
    main()
