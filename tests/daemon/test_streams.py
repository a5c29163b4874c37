#!/usr/bin/python3
"""Cameras in, messages out: codecs, several streams, one of them broken, both kinds of result."""
import json
import os
import signal
import subprocess
import sys
import tempfile

import zmq

from harness import BUILD, DAEMON, FIRST, SLOW, Camera, Daemon, environment, free_port, run, stream


def test_codecs():
    with Camera("--codec", "h264") as a, Camera("--codec", "h265") as b, \
            Camera("--codec", "mjpeg") as c:
        with Daemon({"h264": stream(a.url), "h265": stream(b.url), "mjpeg": stream(c.url)}) as daemon:
            for name in ("h264", "h265", "mjpeg"):
                message = daemon.ear.wait(f"detection/{name}/", FIRST)
                assert message["frame"]["width"] == 320 and message["frame"]["height"] == 240
                assert message["model"]["name"] == "nano" and message["revision"] >= 1
            daemon.stop()


def test_poses_and_detections():
    with Camera() as camera:
        watches = ({"phrases": ["person", "car"], "name": "things"}, {"task": "pose"},
                   {"name": "rare", "rate": 1})
        with Daemon({"yard": stream(camera.url, *watches)}) as daemon:
            assert daemon.ear.wait("pose/yard/", FIRST)["keypoint_set"] == "coco-17"
            heard = daemon.ear.listen(5 * SLOW)
            names = {m["watch"] for m in heard if m["kind"] == "detection"}
            assert names == {"things", "rare"}, names
            rare = [m for m in heard if m.get("watch") == "rare"]
            # A slow machine looks less often than it may, never more often.
            assert 2 <= len(rare) <= 8 * SLOW, len(rare)
            indices = [m["frame"]["index"] for m in heard if m.get("watch") == "things"]
            assert indices == sorted(set(indices)), "frames out of order"
            daemon.stop()


def test_camera_clock():
    """Sender reports come every few seconds; from then on the camera says when a frame was taken."""
    with Camera() as camera, Daemon({"gate": stream(camera.url)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST, lambda m: m["frame"]["clock"] == "rtcp")
        daemon.ear.listen(1)
        clocks = [m["frame"]["clock"] for m in daemon.ear.messages if m["_topic"] == "detection/gate/"]
        first = clocks.index("rtcp")  # 0 where the first result was a while in coming
        assert clocks == ["arrival"] * first + ["rtcp"] * (len(clocks) - first), clocks


def test_broken_delays_nobody():
    """Nobody there, nobody by that name, and one that accepts and then says nothing."""
    with Camera() as camera, Camera() as silent:
        streams = {
            "refused": stream(f"rtsp://127.0.0.1:{free_port()}/cam"),
            "nobody": stream("rtsp://no-such-host.invalid/cam"),
            "hung": stream(silent.url, timeout_ms=2000),
            "wrong": stream("test:ball", {"phrases": ["a word that no model knows"]}),
            "odd": {"url": "test:ball", "watches": [{"input_width": 500, "input_height": 384}]},
            "good": stream(camera.url),
        }
        silent.fault("hang 60")
        with Daemon(streams) as daemon:
            daemon.wait_state("refused", "reconnecting", cause="refused")
            daemon.wait_state("nobody", "reconnecting", cause="unknown-host")
            daemon.ear.wait("detection/good/", FIRST)
            daemon.wait_state("wrong", "disabled", cause="watch")
            text = daemon.wait_state("odd", "disabled", cause="watch")["cause"]["text"]
            assert "input of 500x384: width and height must be multiples of 32" in text, text
            daemon.wait_state("hung", "reconnecting", cause="timeout")
            heard = daemon.ear.listen(4 * SLOW)
            good = [m["_mono"] for m in heard if m["_topic"] == "detection/good/"]
            gaps = [b - a for a, b in zip(good, good[1:])]
            assert len(good) >= 15 / SLOW and max(gaps) < 1.5 * SLOW, (len(good), max(gaps))


def test_every_frame():
    """A film of 50 frames over TCP, every one of them looked at, in order, with its own index."""
    with Camera("--end", "--frames", "50") as camera:
        config = stream(camera.url, every_frame=True, transport="tcp")
        with Daemon({"film": config}) as daemon:
            daemon.wait_state("film", "reconnecting", FIRST, cause="ended")
            first = [m["frame"]["index"] for m in daemon.ear.messages
                     if m["_topic"] == "detection/film/"][:50]
            assert first == list(range(50)), first


def test_file_ends():
    """Pictures that end: the state says so, and nothing is skipped."""
    with Daemon({"t": stream("test:smpte?size=160x120&fps=20&frames=30", every_frame=True)}) as daemon:
        daemon.wait_state("t", "ended", FIRST)
        seen = [m for m in daemon.ear.messages if m["_topic"] == "detection/t/"]
        assert [m["frame"]["index"] for m in seen] == list(range(30)), len(seen)


def test_last_words():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Camera() as camera, Daemon({"gate": stream(camera.url)}) as daemon:
            daemon.ear.wait("detection/gate/", FIRST)
            took = daemon.stop(number)
            assert took < 4 * SLOW, took
            last = {m["_topic"]: m for m in daemon.ear.messages}
            assert last["status/"]["state"] == "stopping"
            assert last["status/gate/"]["state"] == "ended"
            assert last["status/gate/"]["cause"]["code"] == "stopping"


def test_ear_in_c():
    """A subscriber that shares no line with us but libzmq."""
    with Daemon({"t": stream("test:ball")}) as daemon:
        daemon.ear.wait("detection/t/", FIRST)
        ear = os.path.join(BUILD, "tests", "daemon", "ear")
        out = subprocess.run([ear, daemon.endpoint, "detection/t/", "5"], stdout=subprocess.PIPE,
                             text=True, timeout=60, check=True).stdout
        assert out.count("detection/t/ {") == 5, out


def test_subscriptions():
    """One that is longer than any topic costs its subscriber the connection, and nobody else anything."""
    def subscriber(endpoint, topic):
        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.SUBSCRIBE, topic)
        socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(endpoint)
        return socket

    with Daemon({"t": stream("test:ball")}) as daemon:
        daemon.ear.wait("detection/t/", FIRST)
        greedy, modest = (subscriber(daemon.endpoint, b"x" * length) for length in (300, 250))
        assert modest.poll(10000 * SLOW), "a subscription of 250 bytes is a subscription"
        assert len(daemon.ear.listen(2 * SLOW)) > 2  # and no gap, which the ear looks for
        assert not greedy.poll(100), "a subscription of 300 bytes"
        greedy.close()
        modest.close()
        daemon.stop()


def test_socket_is_one_daemons():
    with Daemon({"t": stream("test:ball")}) as first:
        first.ear.wait("status/")
        other = subprocess.run([DAEMON, "--config", first.path],
                               stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert other.returncode == 1 and "another process" in other.stderr, other.stderr
        assert first.ear.wait("detection/t/", FIRST)


def test_without_plugin():
    """It says what is missing instead of waiting for ever."""
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "w.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"publish": {"endpoint": f"ipc://{folder}/s"}, "streams": {}}, file)
        env = {**environment(), "GST_PLUGIN_PATH": folder, "GST_REGISTRY": folder + "/registry"}
        out = subprocess.run([DAEMON, "--config", config], stderr=subprocess.PIPE, text=True,
                             timeout=120, check=False, env=env)
        if out.returncode == 0 or "libgstwatchword.so: install it" not in out.stderr:
            raise AssertionError(out)


def test_check_config_words():
    """What no model knows is found before the daemon starts, with file and place."""
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "w.json")
        watches = [{"phrases": ["person"]}, {"name": "b", "phrases": ["persn"]},
                   {"name": "c", "task": "caption"}, {"name": "d", "model": "nono"},
                   {"name": "e", "input_width": 500, "input_height": 384}]
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"streams": {"gate": {"url": "test:ball", "watches": watches}}}, file)
        out = subprocess.run([DAEMON, "--check-config", "--config", config], stderr=subprocess.PIPE,
                             text=True, timeout=60, check=False)
        lines = out.stderr.splitlines()
        assert out.returncode == 1 and len(lines) == 4, out
        for line, (i, says) in zip(lines, ((1, "near: person"), (2, "'caption'"), (3, "no model"),
                                           (4, "multiples of 32"))):
            assert line.startswith(f"{config}: streams.gate.watches[{i}]: ") and says in line, line


def test_wrong_config():
    """A file that is wrong: said once, and by a status that tells systemd that a restart does not help."""
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "w.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"streams": {"gate": {"url": "test:ball", "watches": [{"rate": -1}]}}}, file)
        for name, says in ((config, "streams.gate.watches[0].rate: found -1"), (folder + "/no", "No such file")):
            out = subprocess.run([DAEMON, "--config", name], stderr=subprocess.PIPE, text=True, timeout=60,
                                 check=False)
            assert out.returncode == 78 and out.stderr.count(says) == 1, out
            assert len(out.stderr.splitlines()) == 1, out


if __name__ == "__main__":
    run(test_codecs, test_poses_and_detections, test_camera_clock, test_broken_delays_nobody,
        test_every_frame, test_file_ends, test_last_words, test_ear_in_c, test_subscriptions,
        test_socket_is_one_daemons, test_without_plugin, test_check_config_words,
        test_wrong_config)
    sys.exit(0)
