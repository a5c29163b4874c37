#!/usr/bin/python3
"""SIGHUP: the difference is applied, and a file that is wrong changes nothing."""
import sys

from harness import FIRST, SLOW, Daemon, run, stream


def test_words():
    """Other words on a live stream: a new revision, and no frame is lost over it."""
    with Daemon({"t": stream("test:ball", {"phrases": ["person"]})}) as daemon:
        first = daemon.ear.wait("detection/t/", FIRST)
        daemon.configure({"t": stream("test:ball", {"phrases": ["car", "dog"]})})
        daemon.reload()
        second = daemon.ear.wait("detection/t/", 10, lambda m: m["revision"] > first["revision"])
        assert second["epoch"] == first["epoch"]
        assert second["frame"]["index"] > first["frame"]["index"]


def test_streams_come_and_go():
    keep = stream("test:ball")
    with Daemon({"keep": keep, "leave": stream("test:smpte")}) as daemon:
        daemon.ear.wait("detection/keep/", FIRST)
        daemon.ear.wait("detection/leave/", FIRST)
        daemon.configure({"keep": keep, "come": stream("test:snow")})
        daemon.reload()
        assert daemon.wait_state("leave", "ended")["cause"]["code"] == "stopping"
        daemon.ear.wait("detection/come/", 20)
        before = [m for m in daemon.ear.messages if m["_topic"] == "detection/keep/"][-1]
        after = daemon.ear.wait("detection/keep/")
        assert after["frame"]["index"] > before["frame"]["index"], "it began anew"
        # And back: its topic counts on, which the ear checks.
        daemon.configure({"keep": keep, "leave": stream("test:smpte", enabled=False)})
        daemon.reload()
        daemon.wait_state("leave", "disabled", cause="disabled")
        daemon.stop()


def test_elsewhere():
    """A stream that comes from another place is a new camera; its topics count on, which the ear checks."""
    with Daemon({"t": stream("test:ball")}) as daemon:
        for url in ("test:snow", "test:smpte"):
            before = daemon.ear.wait("detection/t/", FIRST)
            daemon.configure({"t": stream(url)})
            daemon.reload()
            daemon.ear.wait("status/t/", 10, lambda m: m["url"] == url)
            daemon.ear.wait("detection/t/", 20, lambda m: m["seq"] > before["seq"] + 5)


def test_corrected():
    """A word that is none ends a stream; the right one, the same file or none at all begin it anew."""
    with Daemon({"t": stream("test:ball", {"phrases": ["persn"]})}) as daemon:
        assert "persn" in daemon.wait_state("t", "disabled", FIRST, cause="watch")["cause"]["text"]
        daemon.reload()
        daemon.wait_state("t", "starting")
        daemon.wait_state("t", "disabled", cause="watch")
        daemon.configure({"t": stream("test:ball", {"phrases": ["person"]})})
        daemon.reload()
        daemon.ear.wait("detection/t/", FIRST)


def test_bad_file():
    with Daemon({"t": stream("test:ball")}) as daemon:
        daemon.ear.wait("detection/t/", FIRST)
        daemon.configure({"t": stream("test:ball", {"threshold": 2})})
        daemon.reload()
        heard = daemon.ear.listen(2 * SLOW)
        assert any(m["_topic"] == "detection/t/" for m in heard)
        daemon.stop()
        assert "streams.t.watches[0].threshold: found 2, allowed is a number from 0 to 1" in daemon.log()
        assert "old configuration stays" in daemon.log()


if __name__ == "__main__":
    run(test_words, test_streams_come_and_go, test_elsewhere, test_corrected, test_bad_file)
    sys.exit(0)
