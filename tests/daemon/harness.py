"""Real parts for tests of the daemon: cameras that fail on command, the program itself, an ear.

    with Camera("--codec", "h265") as camera, Daemon({"gate": stream(camera.url)}) as daemon:
        message = daemon.ear.wait("detection/gate/")

Every message that the ear hears is held against its JSON Schema in docs/schema, closed so that fields
which are not described there are mistakes, and against the numbering of its topic.
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

try:
    import jsonschema
    import zmq
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

BUILD = os.environ["WATCHWORD_BUILD"]
SOURCE = os.environ["WATCHWORD_SOURCE"]
CAMERA = os.path.join(BUILD, "cli", "test-camera")
DAEMON = os.path.join(BUILD, "daemon", "watchwordd")
PATTERN = "pattern:320x240@10"
SANITIZED = bool({"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ))
SLOW = 5.0 if SANITIZED else 1.0
FIRST = 120  # seconds in which the first result has come: software Vulkan compiles all kernels once

if not os.path.exists(CAMERA):
    print("skipped: the test camera was not built (libgstrtspserver-1.0-dev)")
    sys.exit(77)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stream(url, *watches, **more):
    """A stream's configuration; small pictures, for the tests are about everything else."""
    watches = watches or ({"phrases": ["person"]},)
    size = 64 if SANITIZED else 128
    return {"url": url, "watches": [{"input_size": size, **w} for w in watches], **more}


class Camera:
    """cli/test-camera, its events and its faults."""

    def __init__(self, *args, port=0, film=PATTERN):
        self.process = subprocess.Popen(
            [CAMERA, film, "--port", str(port), "--with-parent", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.events, self.changed = [], threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()
        self.url = self.wait("listening")["url"]

    def listen(self):
        for line in self.process.stdout:
            with self.changed:
                self.events.append(json.loads(line))
                self.changed.notify_all()

    def wait(self, event, timeout=20, after=0):
        """The first event of that name, from the `after`th event on."""
        end = time.monotonic() + timeout * SLOW
        with self.changed:
            while True:
                for e in self.events[after:]:
                    if e["event"] == event:
                        return e
                left = end - time.monotonic()
                assert left > 0, f"the camera never said {event!r}: {self.events[-5:]}"
                self.changed.wait(left)

    def fault(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def closed(schema):
    """The schema, with whatever it does not name forbidden."""
    if isinstance(schema, list):
        return [closed(x) for x in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: closed(v) for k, v in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        out["additionalProperties"] = False
    return out


def schema(kind):
    with open(os.path.join(SOURCE, "docs", "schema", kind + ".json"), encoding="utf-8") as file:
        return json.load(file)


class Ear:
    """Hears everything, keeps it, and checks each message as it comes."""

    def __init__(self, endpoint):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVHWM, 100000)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 20)  # before anybody publishes
        self.socket.setsockopt_string(zmq.SUBSCRIBE, "")
        self.socket.connect(endpoint)
        self.messages, self.seq, self.validators = [], {}, {}

    def check(self, topic, message):
        kind = message["kind"]
        if kind not in self.validators:
            self.validators[kind] = jsonschema.Draft202012Validator(closed(schema(kind)))
        errors = [f"{list(e.path)}: {e.message}" for e in self.validators[kind].iter_errors(message)]
        assert not errors, f"{topic}: {errors}\n{message}"
        want = f"{kind}/{message['stream']}/" if "stream" in message else "status/"
        assert topic == want, f"{topic} has a message of {want}"
        key = (topic, message["epoch"])
        assert key not in self.seq or message["seq"] == self.seq[key] + 1, f"a gap in {key}"
        self.seq[key] = message["seq"]

    def hear(self, timeout):
        """The next message, or None."""
        if not self.socket.poll(max(0, int(timeout * 1000))):
            return None
        topic, text = (part.decode() for part in self.socket.recv_multipart())
        message = json.loads(text)
        self.check(topic, message)
        message["_topic"], message["_mono"] = topic, time.monotonic()
        self.messages.append(message)
        return message

    def wait(self, topic, timeout=20, where=lambda m: True):
        """The next message of that topic for which `where` holds."""
        end = time.monotonic() + timeout * SLOW
        while (left := end - time.monotonic()) > 0:
            message = self.hear(left)
            if message and message["_topic"] == topic and where(message):
                return message
        last = [m for m in self.messages if m["_topic"] == topic][-1:]
        raise AssertionError(f"nothing wanted on {topic} in {timeout} s; last: {last}")

    def listen(self, seconds):
        """Everything heard in that time."""
        end, first = time.monotonic() + seconds, len(self.messages)
        while (left := end - time.monotonic()) > 0:
            self.hear(left)
        return self.messages[first:]

    def drain(self, timeout=0.3):
        while self.hear(timeout):
            pass


def environment():
    env = dict(os.environ)
    # A registry of its own, made without a helper process (sanitizers), kept between tests.
    env.update(GST_PLUGIN_PATH=os.path.join(BUILD, "plugins"), GST_REGISTRY_FORK="no",
               GST_REGISTRY=os.path.join(BUILD, "tests", "gstreamer-registry.bin"))
    if SANITIZED:
        # Software Vulkan compiles as it runs: each new function is announced to the unwinder under a
        # lock that the sanitizer's whole stacks (fast_unwind_on_malloc=0) take as well, and both wait.
        env["WATCHWORD_DEVICE"] = "reference"
    return env


class Daemon:
    """watchwordd with these streams, and an ear at its socket."""

    def __init__(self, streams, **config):
        self.folder = tempfile.TemporaryDirectory(prefix="watchword-")
        self.endpoint = f"ipc://{self.folder.name}/events.sock"
        self.path = os.path.join(self.folder.name, "watchword.json")
        self.configure(streams, **config)
        self.ear = Ear(self.endpoint)
        self.log_path = os.path.join(self.folder.name, "log")
        self.started = time.monotonic()
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([DAEMON, "--config", self.path, "--log-level", "debug"],
                                            stderr=log, stdout=log, env=environment())

    def configure(self, streams, **config):
        config = {"publish": {"endpoint": self.endpoint}, "status_interval": 0.5,
                  "streams": streams, **config}
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def resident_kb(self):
        """Of its own: pages of programs and libraries come and go as the kernel likes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"RssAnon:\s+(\d+)", file.read())[1])

    def wait_state(self, name, state, timeout=20, cause=None):
        return self.ear.wait(f"status/{name}/", timeout, lambda m: m["state"] == state and
                             (cause is None or m.get("cause", {}).get("code") == cause))

    def stop(self, number=signal.SIGTERM, timeout=10):
        """How long it took, in seconds; what it said last is heard."""
        begin = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(timeout * SLOW)
        took = time.monotonic() - begin
        self.ear.drain()
        assert status == 0, f"exit status {status}\n{self.log()[-6000:]}"
        return took

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if kind:
            print(self.log()[-6000:])
        self.ear.socket.close()
        self.folder.cleanup()


def run(*tests):
    """Runs functions, or those named on the command line, and says how it went."""
    wanted = sys.argv[1:]
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        begin = time.monotonic()
        test()
        print(f"{test.__name__}: ok, {time.monotonic() - begin:.1f} s", flush=True)
