#!/usr/bin/python3
"""Every way to lose a camera: the cause in words, and how soon it is back."""
import contextlib
import functools
import http.server
import os
import random
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from harness import FIRST, SANITIZED, SLOW, Camera, Daemon, free_port, run, stream

BACK = 2.0  # seconds from being reachable to a first result: the promise


def lose(daemon, camera, fault, cause, back, timeout=20):
    """Does the fault, waits for its cause, and measures from `back` (an event) to the next result."""
    seen, before = len(camera.events), len(daemon.ear.messages)
    camera.fault(fault)
    status = daemon.wait_state("gate", "reconnecting", timeout, cause)
    since = camera.wait(back, 30, after=seen)["mono"] if back else status["_mono"]
    daemon.wait_state("gate", "live", 30)  # what was still under way does not count
    result = daemon.ear.wait("detection/gate/")
    took = result["_mono"] - since
    print(f"  {fault:12} {status['cause']['code']:14} back after {took:.2f} s: "
          f"{status['cause']['text']}", flush=True)
    assert took < BACK * SLOW, f"{fault}: {took:.2f} s\n{daemon.log()[-2000:]}"
    assert len(daemon.ear.messages) > before
    return status


def make_certificate(folder):
    """As a camera makes its own: nobody has signed it. The PEM file, its key included, and its SHA-256."""
    path = os.path.join(folder, "camera.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=camera", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", path + ".key", "-out", path], check=True, stderr=subprocess.DEVNULL)
    print_ = subprocess.run(["openssl", "x509", "-in", path, "-noout", "-fingerprint", "-sha256"],
                            check=True, stdout=subprocess.PIPE, text=True).stdout.strip().split("=")[1]
    with open(path, "a", encoding="ascii") as whole, open(path + ".key", encoding="ascii") as key:
        whole.write(key.read())
    return path, print_


def kinds_of_trust(path, digest):
    return {"stranger": {}, "other": {"tls": {"sha256": "00" * 32}}, "pinned": {"tls": {"sha256": digest}},
            "signed": {"tls": {"ca_file": path}}, "any": {"tls": {"verify": False}}}


def is_refused(daemon, digest):
    for name, says in (("stranger", "nobody known here has signed it"), ("other", "is not the pinned one")):
        text = daemon.wait_state(name, "reconnecting", cause="tls")["cause"]["text"]
        print(f"  {name}: {text}")
        assert says in text and digest.replace(":", "").lower() in text and "geheim" not in text, text


def test_certificates():
    """Cameras that signed for themselves: refused with advice that works, and three ways to trust."""
    if "fast_unwind_on_malloc=0" in os.environ.get("ASAN_OPTIONS", ""):
        print("  not here: reading the authorities takes longer than the cameras wait")
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        path, digest = make_certificate(folder)
        streams = {}
        for name, trust in kinds_of_trust(path, digest).items():
            camera = stack.enter_context(Camera("--tls", path, "--user", "viewer:geheim"))
            assert camera.url.startswith("rtsps://")
            streams[name] = stream(camera.url.replace("rtsps://", "rtsps://viewer:geheim@"),
                                   timeout_ms=int(4000 * SLOW), **trust)
        with Daemon(streams) as daemon:
            is_refused(daemon, digest)
            for name in ("pinned", "signed", "any"):
                assert daemon.ear.wait(f"detection/{name}/", FIRST)
            # Trust may be given while it runs, but not taken away.
            streams["stranger"]["tls"] = {"sha256": digest}
            daemon.configure(streams)
            daemon.reload()
            assert daemon.ear.wait("detection/stranger/", FIRST)
            streams["any"]["tls"] = {"sha256": digest}
            daemon.configure(streams)
            daemon.reload()
            daemon.ear.listen(1)
            assert "streams.any.tls: what was trusted before changes only with a restart" in daemon.log()
            daemon.stop()


def test_certificates_https():
    """The same over https: past the certificate, the server has nothing of that name."""
    if "fast_unwind_on_malloc=0" in os.environ.get("ASAN_OPTIONS", ""):
        print("  not here, as above")
        return
    with tempfile.TemporaryDirectory() as folder:
        path, digest = make_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        streams, servers = {}, []
        for name, trust in kinds_of_trust(path, digest).items():
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
                http.server.SimpleHTTPRequestHandler, directory=folder))
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.append(server)
            streams[name] = stream(f"https://127.0.0.1:{server.server_port}/nothing.mjpeg",
                                   timeout_ms=int(4000 * SLOW), **trust)
        with Daemon(streams) as daemon:
            is_refused(daemon, digest)
            for name in ("pinned", "signed", "any"):
                daemon.wait_state(name, "reconnecting", cause="not-found")
            daemon.stop()
        for server in servers:
            server.shutdown()


def test_faults():
    with Camera("--user", "viewer:geheim") as camera:
        url = camera.url.replace("rtsp://", "rtsp://viewer:geheim@")
        with Daemon({"gate": stream(url, timeout_ms=2000)}) as daemon:
            first = daemon.ear.wait("detection/gate/", FIRST)
            lose(daemon, camera, "close", "closed", None)
            lose(daemon, camera, "down 2", "refused", "fault_end")
            lose(daemon, camera, "404 2", "not-found", "fault_end")
            lose(daemon, camera, "401 2", "unauthorized", "fault_end")
            lose(daemon, camera, "end", "ended", None)
            lose(daemon, camera, "hang 6", "stalled", "fault_end")
            lose(daemon, camera, "codec h265", "closed", None)
            lose(daemon, camera, "codec mjpeg", "closed", None)
            lose(daemon, camera, "codec h264", "closed", None)
            last = daemon.ear.wait("detection/gate/")
            assert last["frame"]["index"] > first["frame"]["index"], "frames are counted on"
            assert last["revision"] == first["revision"]
            daemon.stop()
            assert "geheim" not in daemon.log() and "geheim" not in str(daemon.ear.messages)


def test_descriptions():
    """What the camera says about itself is nonsense, or not what it then sends."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, timeout_ms=2000)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        for fault, codes in (("bad-sdp 4", ("protocol",)), ("wrong-codec 14", ("codec", "payload"))):
            seen = len(camera.events)
            camera.fault(fault)
            status = daemon.ear.wait(
                "status/gate/", 25,
                lambda m: m["state"] == "reconnecting" and m["cause"]["code"] != "closed")
            print(f"  {fault:14} {status['cause']['code']:10} {status['cause']['text']}")
            assert status["cause"]["code"] in codes, status["cause"]
            since = camera.wait("fault_end", 30, after=seen)["mono"]
            daemon.wait_state("gate", "live", 20)
            daemon.ear.wait("detection/gate/")
            print(f"  back {time.monotonic() - since:.1f} s after its end")


class Rude(socketserver.StreamRequestHandler):
    """A camera whose every refusal has orders for a terminal in it."""
    def handle(self):
        while self.rfile.readline():
            lines = list(iter(lambda: self.rfile.readline().strip(), b""))
            number = next((line for line in lines if line.lower().startswith(b"cseq")), b"CSeq: 1")
            self.wfile.write(b"RTSP/1.0 500 \x1b[31mred\x1b]0;title\x07 \xc2\x9b2J\r\n" + number + b"\r\n\r\n")


def test_rude_words():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Rude) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Daemon({"gate": stream(f"rtsp://127.0.0.1:{server.server_address[1]}/x", timeout_ms=2000)}) as daemon:
            text = daemon.wait_state("gate", "reconnecting")["cause"]["text"]
            print(f"  {text}")
            assert "[31mred" in text, text
            daemon.stop()
            for where, said in (("the message", text), ("the log", daemon.log())):
                assert not any(c in said for c in "\x1b\x07\x9b"), f"{where}: {said!r}"
        server.shutdown()


def test_jump_and_resize():
    """The camera's clock jumps, its pictures change their size: results go on."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, timeout_ms=3000)}) as daemon:
        last = daemon.ear.wait("detection/gate/", FIRST)
        for fault, width in (("jump 3600", 320), ("jump -1800", 320), ("resize 256x192", 256),
                             ("resize 320x240", 320)):
            camera.fault(fault)
            since = time.monotonic()
            daemon.ear.listen(1 * SLOW)  # what was under way
            result = daemon.ear.wait("detection/gate/", 20,
                                     lambda m, w=width: m["frame"]["width"] == w)
            print(f"  {fault}: {time.monotonic() - since:.1f} s")
            assert result["frame"]["index"] > last["frame"]["index"], "frames are counted on"
            last = result


def test_lossy_udp():
    """A fifth of the packets gets lost on the way: pictures go on, and the loss is counted."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, transport="udp")}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        camera.fault("loss 20 6")
        lossy = daemon.ear.wait("status/gate/", 20, lambda m: m.get("packets", {}).get("lost", 0) > 0)
        daemon.ear.wait("detection/gate/")
        print(f"  {lossy['packets']}")


def test_noise():
    """Files, devices and HTTP servers that hold noise: a cause in words, and the daemon lives on."""
    noise = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        names = []
        for head in (b"", b"\0\0\1\x67", b"RIFF\0\0\0\0AVI LIST", b"\0\0\0\x20ftypisom",
                     b"\x1a\x45\xdf\xa3", b"\xff\xd8\xff\xe0", b"G" + 187 * b"x" + b"G"):
            names.append(f"{len(names)}.bin")
            with open(os.path.join(folder, names[-1]), "wb") as file:
                file.write(head + noise.randbytes(200000))
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            base = f"http://127.0.0.1:{server.server_port}/"
            streams = {f"file{i}": stream(f"file://{folder}/{n}") for i, n in enumerate(names)}
            streams |= {f"http{i}": stream(base + n, timeout_ms=1000) for i, n in enumerate(names)}
            streams |= {"device": stream("v4l2:/dev/null"), "good": stream("test:ball")}
            with Daemon(streams) as daemon:
                daemon.ear.wait("detection/good/", FIRST)
                daemon.ear.listen(8)
                daemon.ear.wait("detection/good/", 10)
                last = {m["stream"]: m for m in daemon.ear.messages if m["kind"] == "status"
                        and "stream" in m}
                for name in streams.keys() - {"good"}:
                    assert last[name]["state"] in ("ended", "reconnecting"), last[name]
                    assert last[name]["state"] == "ended" or last[name]["cause"]["text"], last[name]
                daemon.stop()
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_silence():
    """Connected, and nothing comes: stalled, then reconnecting."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, timeout_ms=3000)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        camera.fault("silence 8")
        daemon.wait_state("gate", "stalled", 10, "stalled")
        daemon.wait_state("gate", "reconnecting", 10, "stalled")
        daemon.wait_state("gate", "live", 30)


def test_short_silence():
    """A pause is not a loss: nothing is torn down."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, timeout_ms=8000)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        camera.fault("silence 3")
        daemon.wait_state("gate", "stalled", 10)
        assert daemon.wait_state("gate", "live", 10)["reconnects"] == 0


def test_garbage():
    """Payload that is noise: named so, and over when it is over."""
    with Camera() as camera, Daemon({"gate": stream(camera.url, timeout_ms=2000)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        camera.fault("garbage 14")
        status = daemon.ear.wait("status/gate/", 20, lambda m: m["state"] == "reconnecting")
        print(f"  garbage: {status['cause']}")
        assert status["cause"]["code"] in ("payload", "codec"), status["cause"]
        camera.wait("fault_end", 30)
        daemon.wait_state("gate", "live", 10)
        daemon.ear.wait("detection/gate/")


def test_killed_and_started_again():
    port = free_port()
    with Camera(port=port) as camera:
        daemon = Daemon({"gate": stream(camera.url)})
        with daemon:
            daemon.ear.wait("detection/gate/", FIRST)
            camera.kill()
            daemon.wait_state("gate", "reconnecting", cause="closed")
            daemon.wait_state("gate", "reconnecting", cause="refused")
            with Camera(port=port) as again:
                since = again.events[0]["mono"]
                took = daemon.ear.wait("detection/gate/")["_mono"] - since
                print(f"  back after {took:.2f} s")
                assert took < BACK * SLOW, took


def test_never_there():
    """Each with its own words, and knocked at more than once."""
    with Camera("--user", "viewer:geheim") as locked, Camera() as open_:
        streams = {
            "refused": stream(f"rtsp://127.0.0.1:{free_port()}/cam"),
            "nobody": stream("rtsp://no-such-host.invalid/cam"),
            "locked": stream(locked.url),
            "elsewhere": stream(open_.url.replace("/cam", "/other")),
            "nofile": stream("file:///no/such/film.mp4"),
        }
        with Daemon(streams) as daemon:
            for name, code in (("refused", "refused"), ("nobody", "unknown-host"),
                               ("locked", "unauthorized"), ("elsewhere", "not-found")):
                text = daemon.wait_state(name, "reconnecting", cause=code)["cause"]["text"]
                print(f"  {name}: {text}")
            text = daemon.wait_state("nofile", "ended", cause="not-found")["cause"]["text"]
            print(f"  nofile: {text}")
            time.sleep(2)
            daemon.stop()
            assert len([e for e in locked.events if e["event"] == "client"]) >= 3


class Refusing:
    """A camera that takes no password: when somebody connected, and how often each sent one."""

    def __init__(self, challenge):
        self.server, self.challenge = socket.create_server(("127.0.0.1", 0)), challenge
        self.connected, self.passwords = [], []
        threading.Thread(target=self.accept, daemon=True).start()
        self.url = f"rtsp://viewer:geheim@127.0.0.1:{self.server.getsockname()[1]}/cam"

    def accept(self):
        while True:
            peer = self.server.accept()[0]
            self.connected.append(time.monotonic())
            self.passwords.append(0)
            threading.Thread(target=self.answer, args=(peer, len(self.passwords) - 1), daemon=True).start()

    def answer(self, peer, i):
        with peer, peer.makefile("rb") as lines:
            number = ""
            for line in lines:
                if line.lower().startswith(b"cseq:"):
                    number, had = line.split(b":")[1].strip().decode(), False
                elif line.lower().startswith(b"authorization:") and not had:
                    self.passwords[i], had = self.passwords[i] + 1, True
                elif line == b"\r\n":
                    peer.sendall(f"RTSP/1.0 401 Unauthorized\r\nCSeq: {number}\r\n"
                                 f"WWW-Authenticate: {self.challenge}\r\n\r\n".encode())


def gaps(times):
    return [round(b - a, 2) for a, b in zip(times, times[1:])]


def listen_until(daemon, condition, timeout):
    end = time.monotonic() + timeout * SLOW
    while not condition() and time.monotonic() < end:
        daemon.ear.listen(0.1)


def test_refused_for_ever():
    """Some tries in a row, then ever fewer, each with the password once or twice; SIGHUP tries at once."""
    basic, digest = Refusing('Basic realm="camera"'), Refusing('Digest realm="camera", nonce="7"')
    with Camera() as open_:
        streams = {"basic": stream(basic.url), "digest": stream(digest.url),
                   "elsewhere": stream(open_.url.replace("/cam", "/other"))}
        with Daemon(streams) as daemon:
            for camera, passwords in ((basic, 1), (digest, 2)):
                listen_until(daemon, lambda c=camera: len(c.connected) >= 7, 20)
                waits = gaps(camera.connected)
                print(f"  unauthorized, waits: {waits}; with the password {camera.passwords}")
                assert set(camera.passwords) == {passwords}, camera.passwords
                assert len(waits) == 6 and max(waits[:4]) < 1.5 * SLOW and waits[4] > 1.4 and waits[5] > 2.9
            daemon.ear.listen(0.3 * SLOW)  # until the last try was refused, too
            before = [len(camera.connected) for camera in (basic, digest)]
            daemon.reload()
            daemon.ear.listen(1 * SLOW)
            tried = [len(camera.connected) - n for camera, n in zip((basic, digest), before)]
            assert tried == [1, 1], f"{tried} tries after {before}: {gaps(basic.connected)} {gaps(digest.connected)}"
            tries = lambda: [e["mono"] for e in open_.events if e["event"] == "client"]
            listen_until(daemon, lambda: len(tries()) >= 15, 20)
            waits = gaps(tries())
            print(f"  not-found, waits: {waits}")
            assert len(waits) >= 14 and max(waits[:11]) < 1.6 * SLOW and max(waits[12:]) > 1.4
            daemon.stop()


def test_new_password():
    """A wrong password in a file, for so long that it is seldom tried; the right one is at once."""
    with tempfile.TemporaryDirectory() as folder, Camera("--user", "viewer:geheim") as camera:
        path = os.path.join(folder, "password")
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write("falsch\n")
        login = {"user": "viewer", "password_file": path}
        with Daemon({"gate": stream(camera.url, credentials=login), "test": stream("test:ball")}) as daemon:
            daemon.wait_state("gate", "reconnecting", cause="unauthorized")
            daemon.ear.wait("detection/test/", FIRST)
            daemon.ear.listen(12)
            assert not [m for m in daemon.ear.messages if m["_topic"] == "detection/gate/"]
            with open(path, "w", encoding="ascii") as file:
                file.write("geheim\n")
            since = time.monotonic()
            took = daemon.ear.wait("detection/gate/")["_mono"] - since
            print(f"  back after {took:.2f} s")
            assert took < BACK * SLOW, took


class Film(Quiet):
    """MJPEG: one picture again and again, ten times a second."""

    def do_GET(self):
        with open(os.path.join(os.environ["WATCHWORD_SOURCE"], "tests", "plugins", "people.jpg"), "rb") as file:
            picture = file.read()
        self.server.asked.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with contextlib.suppress(OSError):
            while self.server.lost != len(self.server.asked):
                self.wfile.write(b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                                 % (len(picture), picture))
                time.sleep(0.1)


@contextlib.contextmanager
def film():
    """A camera that sends MJPEG by HTTP; `lost` is the number of the connection that it ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Film) as server:
        server.asked, server.lost = [], 0
        server.url = f"http://127.0.0.1:{server.server_port}/film"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_film_by_http():
    """The first picture is a result, however small pictures are."""
    with film() as camera, Daemon({"gate": stream(camera.url)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        assert len(camera.asked) == 1, "it was lost before its first picture"
        camera.lost = 1
        daemon.wait_state("gate", "reconnecting", cause="ended")
        daemon.wait_state("gate", "live")
        took = daemon.ear.wait("detection/gate/")["_mono"] - camera.asked[-1]
        print(f"  back {took:.2f} s after it was asked")
        assert len(camera.asked) == 2 and took < BACK * SLOW, took
        daemon.stop()


def test_slow_start():
    """Pictures come while the engine is busy with something else for longer than the timeout: they wait."""
    if SANITIZED:
        return  # it would be busy for minutes
    busy = {"url": "test:ball?fps=1", "every_frame": True, "watches": [{"input_size": 1792}]}
    with film() as camera, Daemon({"busy": busy}) as daemon:
        daemon.ear.wait("detection/busy/", FIRST)
        daemon.configure({"busy": busy, "gate": stream(camera.url, timeout_ms=700)})
        daemon.reload()
        daemon.wait_state("gate", "live", 60)
        took = daemon.ear.messages[-1]["_mono"] - camera.asked[0]
        print(f"  live {took:.1f} s after it was asked")
        assert len(camera.asked) == 1, "it was lost while it waited"
        daemon.process.kill()


def test_memory_is_flat():
    """Forty losses: what the first ten took is all there is."""
    if SANITIZED:
        return  # a sanitizer keeps what was freed, to see who still uses it
    with Camera() as camera, Daemon({"gate": stream(camera.url)}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        sizes = []
        for i in range(40):
            camera.fault("close")
            daemon.wait_state("gate", "reconnecting")
            daemon.wait_state("gate", "live")
            daemon.ear.wait("detection/gate/")
            sizes.append(daemon.resident_kb())
        early, late = min(sizes[8:14]), min(sizes[-6:])
        print(f"  resident after 10 losses {early} kB, after 40 {late} kB")
        assert late - early < 2000, sizes


if __name__ == "__main__":
    run(test_certificates, test_certificates_https, test_faults, test_descriptions, test_rude_words,
        test_jump_and_resize, test_lossy_udp, test_noise, test_silence, test_short_silence, test_garbage,
        test_killed_and_started_again, test_never_there, test_refused_for_ever, test_new_password,
        test_film_by_http, test_slow_start,
        test_memory_is_flat)
    sys.exit(0)
