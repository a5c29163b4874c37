"""The daemon on a device that is lost, hangs or runs full: tests/faults/layer.c lies in between."""
import os
import sys

from harness import SANITIZED, Camera, Daemon, run, stream

if SANITIZED:
    print("skipped: sanitized daemons run on the scalar reference, which cannot be lost")
    sys.exit(77)


def faulty(text, *names):
    os.environ["WATCHWORD_FAULT"] = text
    with Camera() as camera, Daemon({name: stream(camera.url) for name in names}) as daemon:
        yield daemon


def losses(daemon):
    return daemon.ear.wait("status/", 30, lambda m: "engine" in m)["engine"]["device_losses"]


def check_loss(text):
    """Results before, one loss, and results of both streams after it."""
    for daemon in faulty(text, "gate", "yard"):
        for name in ("gate", "yard"):
            daemon.ear.wait(f"detection/{name}/", 60)
        daemon.ear.wait("status/", 60, lambda m: m.get("engine", {}).get("device_losses") == 1)
        for name in ("gate", "yard"):
            first = daemon.ear.wait(f"detection/{name}/", 60)
            daemon.ear.wait(f"detection/{name}/", 60, lambda m: m["seq"] >= first["seq"] + 5)
        assert losses(daemon) == 1
        assert "it will be reopened" in daemon.log()
        daemon.stop()


def submit():
    check_loss("submit 40")


def wait():
    check_loss("wait 40")


def hang():
    check_loss("hang 40")


def full():
    """One frame fails for memory, which is counted and in the log; the next ones are looked at."""
    for daemon in faulty("memory 300", "gate"):
        failed = set()
        while not failed:
            status = daemon.ear.wait("status/gate/", 60)
            failed = {w["skipped"]["failed"] for w in status["watches"]} - {0}
        assert failed == {1}
        first = daemon.ear.wait("detection/gate/", 60)
        daemon.ear.wait("detection/gate/", 60, lambda m: m["seq"] >= first["seq"] + 5)
        assert losses(daemon) == 0
        status = daemon.ear.wait("status/gate/", 60)
        assert "error" not in status["watches"][0], status
        assert "out of memory" in daemon.log(), daemon.log()[-3000:]
        daemon.stop()


def filled():
    """No frame can be looked at any more: the stream is live, and status says what its watch lacks."""
    for daemon in faulty("memory 300 lasting", "gate"):
        daemon.ear.wait("detection/gate/", 60)
        for failed in (1, 3):
            status = daemon.ear.wait("status/gate/", 60, lambda m: m["watches"][0]["skipped"]["failed"] >= failed)
            assert status["state"] == "live" and "out of memory" in status["watches"][0]["error"], status
        assert daemon.stop() < 3


def no_room():
    """There is no memory for a model: the stream is tried again, and then it is live."""
    for daemon in faulty("memory 8", "gate"):
        status = daemon.wait_state("gate", "disabled", 60, cause="watch")
        assert "out of memory" in status["cause"]["text"], status
        daemon.ear.wait("detection/gate/", 60)
        assert daemon.wait_state("gate", "live")["reconnects"] == 0
        daemon.stop()


run(submit, wait, hang, full, filled, no_room)
