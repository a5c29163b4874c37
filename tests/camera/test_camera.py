#!/usr/bin/python3
"""The test camera, watched by GStreamer's own RTSP client: what it sends, and every fault.

    test_camera.py CAMERA

Needs Debian's python3-gi and GStreamer's base, good, bad and ugly plugins.
"""
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time

try:
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst
except (ImportError, ValueError) as e:
    print(f"skipped: {e}; install python3-gi and gir1.2-gstreamer-1.0")
    sys.exit(77)

DEPAY = {"h264": "rtph264depay ! h264parse ! video/x-h264,alignment=au",
         "h265": "rtph265depay ! h265parse ! video/x-h265,alignment=au",
         "mjpeg": "rtpjpegdepay"}
CACHE = tempfile.TemporaryDirectory(prefix="watchword-camera-")


def need(condition, text):
    if not condition:
        raise AssertionError(text)


class Camera:
    def __init__(self, *args):
        self.events = queue.Queue()
        self.process = subprocess.Popen(
            [sys.argv[1], "--cache", CACHE.name, "--with-parent", *args], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self.read, daemon=True).start()
        self.url = self.wait("listening")["url"]

    def read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def wait(self, event, seconds=20):
        """The next such event; others before it are dropped."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                got = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no '{event}' within {seconds} s")
            if got["event"] == event:
                return got

    def fault(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            need(self.process.wait(10) == 0, "did not end cleanly")
        finally:
            self.process.kill()


class Client:
    """Receives over TCP; keeps each access unit's time and bytes, and how it ended."""

    def __init__(self, url, codec="h264", **source):
        self.units, self.lock = [], threading.Lock()
        more = " ".join(f"{k.replace('_', '-')}={v}" for k, v in source.items())
        self.pipeline = Gst.parse_launch(
            f"rtspsrc name=in protocols=tcp latency=0 location={url} {more} ! {DEPAY[codec]} "
            "! appsink name=out sync=false emit-signals=true")
        self.pipeline.get_by_name("out").connect("new-sample", self.sample)
        self.pipeline.set_state(Gst.State.PLAYING)

    def sample(self, sink):
        buffer = sink.emit("pull-sample").get_buffer()
        with self.lock:
            self.units.append((time.monotonic(), buffer.pts, buffer.extract_dup(0, buffer.get_size())))
        return Gst.FlowReturn.OK

    def count(self):
        with self.lock:
            return len(self.units)

    def ending(self, seconds):
        """"eos", the error's text, or None when it still plays."""
        m = self.pipeline.get_bus().timed_pop_filtered(
            int(seconds * Gst.SECOND), Gst.MessageType.EOS | Gst.MessageType.ERROR)
        if m is None:
            return None
        return "eos" if m.type == Gst.MessageType.EOS else m.parse_error().debug or ""

    def flows(self, seconds=8, more=3):
        """Waits for some more units."""
        start, deadline = self.count(), time.monotonic() + seconds
        while self.count() < start + more:
            need(time.monotonic() < deadline, f"no pictures within {seconds} s")
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipeline.set_state(Gst.State.NULL)


def every_frame_once(codec):
    with Camera("--end", "--codec", codec, "--fps", "50", "--frames", "60",
                "pattern:320x240@10") as camera:
        for turn in range(2):  # the film starts anew for the next client
            with Client(camera.url, codec, buffer_mode=0) as client:  # 0: RTP's times, uncorrected
                need(client.ending(20) == "eos", "no end of stream")
                need(camera.wait("ended")["frames"] == 60, "not all were sent")
                times = [pts for _, pts, _ in client.units]
                need(len(times) == 60, f"{len(times)} of 60 frames came")
                need(len({data for *_, data in client.units}) == 60, "a frame came twice")
                steps = {round((b - a) / 1e6) for a, b in zip(times, times[1:])}
                need(steps == {20}, f"steps of {steps} ms instead of 20")
            camera.wait("closed")


def end_is_real_time():
    with Camera("--end", "--frames", "20", "pattern:320x240@10") as camera:
        with Client(camera.url) as client:
            need(client.ending(20) == "eos", "no end of stream")
            took = client.units[-1][0] - client.units[0][0]
            need(1.7 < took < 2.6, f"19 frames at 10 fps took {took:.2f} s")


def silence(camera, client):
    camera.fault("silence 1")
    camera.wait("fault")
    time.sleep(0.3)
    before = client.count()
    time.sleep(0.4)
    need(client.count() == before, "not silent")
    camera.wait("fault_end")
    client.flows(2)


def hang(camera, client):
    camera.fault("hang 1")
    time.sleep(0.3)
    before = client.count()
    time.sleep(0.4)
    need(client.count() == before, "still alive")
    camera.wait("fault_end")
    client.flows(2)


def loss(camera, client):
    camera.fault("loss 100 0.5")
    camera.wait("fault")
    time.sleep(0.2)
    before = client.count()
    camera.wait("fault_end")
    need(client.count() - before <= 1, "nothing was lost")
    client.flows(2)


def garbage(camera, client):
    camera.fault("garbage 0.5")
    camera.wait("fault_end")
    client.flows(3)


def close(camera, client):
    camera.fault("close")
    camera.wait("closed")
    need(client.ending(5) is not None, "the client plays on")


def refused(camera, client, fault, why):
    camera.fault(fault)
    camera.wait("fault")
    camera.wait("closed")
    with Client(camera.url, **PASSWORD) as other:
        text = other.ending(5)
        need(text and why in text, f"'{why}' was expected: {text}")
    camera.wait("fault_end")
    with Client(camera.url, **PASSWORD) as other:
        other.flows()


def codec_change(camera, client):
    camera.fault("codec h265")
    camera.wait("closed")
    with Client(camera.url, "h265", **PASSWORD) as other:
        other.flows()
    camera.wait("closed")


def nonsense(camera, client):
    for line in ("boo", "down x", "hang", "loss 5 1 1", "codec vp9"):
        camera.fault(line)
        need(camera.wait("error")["message"], "no message")
    client.flows()


PASSWORD = {"user_id": "viewer", "user_pw": "secret"}
FAULTS = [silence, hang, loss, garbage, nonsense, close,
          ("down 2", "connect"), ("404 2", "404"), ("401 2", "401"), codec_change]


def every_fault():
    with Camera("--user", "viewer:secret", "--fps", "20", "--frames", "40",
                "pattern:320x240@20") as camera:
        for fault in FAULTS:
            name = fault[0] if isinstance(fault, tuple) else fault.__name__
            with Client(camera.url, **PASSWORD) as client:
                client.flows()
                if isinstance(fault, tuple):
                    refused(camera, client, *fault)
                else:
                    fault(camera, client)
            print(f"  {name:16} ok", flush=True)


def basic_password():
    with Camera("--user", "a:b", "--auth", "basic", "pattern:320x240@10") as camera:
        with Client(camera.url, user_id="a", user_pw="b") as client:
            client.flows()
        with Client(camera.url, user_id="a", user_pw="c") as client:
            need("401" in (client.ending(5) or ""), "a wrong password plays")


def main():
    Gst.init(None)
    os.environ.pop("GST_DEBUG", None)
    tests = [("every frame once, " + c, lambda c=c: every_frame_once(c)) for c in DEPAY]
    tests += [("in real time", end_is_real_time), ("faults", every_fault),
              ("basic password", basic_password)]
    failed = 0
    for name, test in tests:
        try:
            test()
            print(f"{name:24} ok", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"{name:24} FAILED: {e}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
