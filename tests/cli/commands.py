#!/usr/bin/env python3
"""The watchword command as its users meet it: usage, exit status, messages, films, a daemon to listen to."""
import functools
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from command_case import BUILD, PROGRAM, SOURCE, watchword

COMMANDS = ["demo", "watch", "run", "complete", "models", "convert", "bench", "tokenize", "trace",
            "check"]
SMALL = ["--device", "reference", "--input", "128x96"]  # quick anywhere, and the same everywhere
FILM = "/usr/share/doc/opencv-doc/examples/data/vtest.avi"


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", *args], check=True, stdin=subprocess.DEVNULL)


class Usage(unittest.TestCase):
    def test_help(self):
        whole = watchword("--help")
        self.assertEqual((whole.returncode, whole.stderr), (0, ""))
        for command in COMMANDS:
            self.assertRegex(whole.stdout, rf"(?m)^  {command} ")
            for args in ([command, "--help"], ["help", command]):
                own = watchword(*args)
                self.assertEqual((own.returncode, own.stderr), (0, ""))
                self.assertTrue(own.stdout.startswith(f"Usage: watchword {command}"))
                self.assertIn("Examples:\n  watchword " + command, own.stdout)
                self.assertIn("Exit status: 0 done, 1 failed, 2 wrong usage.", own.stdout)
                self.assertLessEqual(max(map(len, own.stdout.splitlines())), 100)

    def test_manual_page(self):
        """Every option of every command is in the manual page, and no other."""
        with open(os.path.join(SOURCE, "docs/man/watchword.1.md")) as file:
            page = file.read()
        synopses = page[page.index("## COMMANDS"):page.index("## OPTIONS")]
        for command in COMMANDS:
            own = set(re.findall(r"(?m)^  (--[a-z-]+)", watchword(command, "--help").stdout)) - {"--help"}
            lines = " ".join(re.findall(rf"(?m)^\*\*{command}.*$", synopses))
            told = set(re.findall(r"\*\*(--[a-z-]+)\*\*", lines))
            if command == "run":
                own.discard("--json")  # what it does anyway
            self.assertEqual(told, own, command)

    def test_version(self):
        self.assertRegex(watchword("--version").stdout, r"^watchword \d+\.\d+\.\d+\n$")

    def test_wrong_usage(self):
        for args, told in [
            ([], "Usage: watchword COMMAND"),
            (["rnu"], "there is no command 'rnu'; did you mean 'run'?"),
            (["xyzzy"], "there is no command 'xyzzy'; see watchword --help"),
            (["run"], "something is missing"),
            (["run", "a.mp4", "b.mp4"], "'b.mp4' is one too many"),
            (["run", "--modle", "nano", "a.mp4"], "there is no option --modle; did you mean --model?"),
            (["run", "--qqqqqq", "a.mp4"], "see watchword run --help"),
            (["run", "--model"], "--model wants a value"),
            (["run", "--json=1", "a.mp4"], "--json takes no value"),
            (["run", "--threshold", "1.5", "a.mp4"], "--threshold '1.5' is not a number from 0 to 1"),
            (["run", "--threshold", "0,5", "a.mp4"], "is not a number"),
            (["run", "--input", "512", "a.mp4"], "sizes are written as 512x384"),
            (["run", "--input", "64x64", "--input-size", "64", "a.mp4"], "exclude each other"),
            (["run", "--task", "detct", "a.mp4"], "did you mean 'detect'?"),
            (["trace", "nano"], "--out is missing"),
            (["models", "verfy", "x"], "see watchword models --help"),
            (["models", "fetch"], "see watchword models --help"),
            (["models", "fetch", "--list", "x"], "see watchword models --help"),
            (["models", "fetch", "--timeout", "0", "x"], "is not a number from 0.1 to 3600"),
            (["watch", "--endpoint", "nonsense", "--seconds", "1"], "is no endpoint"),
            (["bench"], "something is missing"),
            (["complete", "m.gguf"], "something is missing"),
            (["complete", "m.gguf", "a", "--chat=alpaca"], "there is no form 'alpaca'; chatml and vicuna are"),
            (["complete", "m.gguf", "a", "--system", "b"], "--chat is missing"),
            (["complete", "m.gguf", "a", "--cache", "q8"], "there is no type 'q8'; f32 and f16 are"),
            (["complete", "m.gguf", "a", "--top-k", "3"], "nothing is drawn without --temperature"),
            (["complete", "m.gguf", "a", "--top-p", "1.1"], "is not a number from 0 to 1"),
            (["complete", "m.gguf", "a", "--max-tokens", "0"], "is not a whole number from 1"),
            (["complete", "m.gguf", "a", "--stop"], "--stop wants a value"),
        ]:
            with self.subTest(args=args):
                done = watchword(*args)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, "")
                self.assertIn(told, done.stderr)

    def test_files_that_look_like_options(self):
        self.assertIn("--strange.mp4: No such file", watchword("run", "--", "--strange.mp4").stderr)


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="watchword-cli-")
        cls.film = os.path.join(cls.dir, "a film.mkv")
        ffmpeg("-f", "lavfi", "-i", "testsrc=161x121:r=10:d=0.6", "-c:v", "ffv1", cls.film)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def messages(self, *args):
        done = watchword("run", *SMALL, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_messages(self):
        os.utime(self.film, (1700000000, 1700000000))
        found = self.messages("--phrases", "person; dog;", "--threshold", "0.05", self.film)
        self.assertEqual([m["frame"]["index"] for m in found], list(range(6)))
        self.assertEqual([m["seq"] for m in found], list(range(6)))
        self.assertEqual(len({m["epoch"] for m in found}), 1)
        for i, m in enumerate(found):
            self.assertEqual((m["schema"], m["kind"], m["stream"], m["watch"], m["revision"]),
                             ("watchword/1", "detection", "a_film.mkv", "detect", 1))
            self.assertRegex(m["epoch"], r"^[0-9A-HJKMNP-TV-Z]{26}$")
            self.assertEqual(m["frame"]["pts_ns"], i * 100_000_000)
            self.assertEqual((m["frame"]["width"], m["frame"]["height"]), (161, 121))
            self.assertEqual(m["frame"]["clock"], "file")
            self.assertEqual(m["frame"]["captured_at"], f"2023-11-14T22:13:20.{i}00Z")
            self.assertRegex(m["model"]["digest"], r"^sha256:[0-9a-f]{64}$")
            self.assertGreater(m["latency_ms"]["infer"], 0)
            for o in m["objects"]:
                self.assertIn(o["label"], ["person", "dog"][o["phrase"]])
                x0, y0, x1, y1 = o["box"]
                self.assertTrue(0 <= x0 <= x1 <= 161 and 0 <= y0 <= y1 <= 121)

    def test_schema(self):
        schema = os.path.join(SOURCE, "docs/schema/detection.json")
        try:
            import jsonschema
        except ImportError:
            self.skipTest("python3-jsonschema is not installed")
        if not os.path.exists(schema):
            self.skipTest("no schema")
        with open(schema) as file:
            schema = json.load(file)
        for m in self.messages(self.film):
            jsonschema.validate(m, schema)

    def test_rate(self):
        self.assertEqual([m["frame"]["index"] for m in self.messages("--rate", "5", self.film)], [0, 2, 4])
        self.assertEqual(len(self.messages("--rate", "500", self.film)), 6)

    def test_picture(self):
        picture = os.path.join(self.dir, "one.jpg")
        ffmpeg("-i", self.film, "-frames:v", "1", picture)
        self.assertEqual(len(self.messages("--task", "pose", picture)), 1)

    def test_secrets(self):
        """A camera's password in the path is in no message, nor in what goes wrong."""
        ffmpeg("-i", self.film, "-frames:v", "1", os.path.join(self.dir, "user=admin&password=geheim&channel=1.ppm"))

        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=self.dir))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        at = f"127.0.0.1:{server.server_port}"
        found = self.messages(f"http://{at}/user=admin&password=geheim&channel=1.ppm")
        self.assertEqual([m["stream"] for m in found],
                         [f"127.0.0.1_{server.server_port}_user_admin_password_" + "_" * 3 + "_channel_1.ppm"])
        for url in (f"http://{at}/password=geheim&channel=2.ppm", "rtsp://admin:ge/heim@127.0.0.1:1/x",
                    f"http://{at}/x?token=geheim"):
            done = watchword("run", *SMALL, url)
            self.assertEqual(done.returncode, 1)
            self.assertNotIn("heim", done.stderr)
            self.assertIn("127.0.0.1", done.stderr)
        server.shutdown()
        server.server_close()

    def test_overlay(self):
        for name, frames, size in [("o.mp4", 6, "160,120"), ("o.mkv", 6, "160,120"), ("o.png", 1, "161,121")]:
            path = os.path.join(self.dir, name)
            self.messages("--overlay", path, self.film)
            probe = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries",
                                    "stream=width,height,nb_read_frames", "-of", "csv=p=0", path],
                                   text=True, stdout=subprocess.PIPE, check=True)
            self.assertEqual(probe.stdout.strip(), f"{size},{frames}")
        done = watchword("run", "--overlay", os.path.join(self.dir, "o.gif"), self.film)
        self.assertEqual(done.returncode, 2)
        self.assertIn("does not end in .mp4, .mkv or .png", done.stderr)

    def test_failures(self):
        noise = os.path.join(self.dir, "noise.mp4")
        with open(noise, "wb") as file:
            file.write(bytes(range(256)) * 40)
        for args, told in [
            (["nothing.mp4"], "nothing.mp4: No such file or directory"),
            ([self.dir], "is a directory"),
            ([noise], "noise.mp4: "),
            (["rtsp://me:secret@127.0.0.1:1/x"], "rtsp://…@127.0.0.1:1/x: Connection refused"),
            (["--phrases", "persn", self.film], "near: person"),
            (["--device", "abacus", self.film], "no device 'abacus'"),
            (["--model", "no-such-model", self.film], "no-such-model"),
        ]:
            with self.subTest(args=args):
                done = watchword("run", *args)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertIn(told, done.stderr)
                self.assertNotIn("secret", done.stderr)

    def test_output_that_fails(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "run", *SMALL, self.film], stdout=full, stderr=subprocess.PIPE,
                                  text=True)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "watchword: standard output: No space left on device\n")
        # A reader that has seen enough is no failure, and nothing is said.
        both = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" run "${@:1}" | head -n 1', PROGRAM, *SMALL,
                               self.film], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual((both.returncode, both.stderr), (0, ""))
        self.assertEqual(len(both.stdout.splitlines()), 1)

    def test_interrupt(self):
        long = os.path.join(self.dir, "long.mkv")
        overlay = os.path.join(self.dir, "cut.mp4")
        ffmpeg("-f", "lavfi", "-i", "testsrc=160x120:r=10:d=600", "-c:v", "ffv1", long)
        done = subprocess.Popen([PROGRAM, "run", *SMALL, "--overlay", overlay, long], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        json.loads(done.stdout.readline())
        done.send_signal(signal.SIGINT)
        rest, told = done.communicate(timeout=30)
        self.assertEqual(done.returncode, 1)  # the film was not looked at to its end
        for line in rest.splitlines():
            json.loads(line)
        ffmpeg("-i", overlay, "-f", "null", "-")  # what was written is whole

    def test_progress(self):
        """On a terminal a bar comes, and goes."""
        if not shutil.which("script"):
            self.skipTest("script is not installed")
        shown = subprocess.run(["script", "-qec", f"'{PROGRAM}' run {' '.join(SMALL)} '{self.film}' >/dev/null",
                                "/dev/null"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"run \[[#-]+\] \d/6 frames  [\d.]+ fps")
        self.assertTrue(re.search(r"6 frames in [\d.]+ s", shown.stdout.splitlines()[-1]))


class Models(unittest.TestCase):
    def test_list(self):
        self.assertRegex(watchword("models").stdout, r"(?m)^nano +nano ")
        lines = [json.loads(line) for line in watchword("models", "list", "--json").stdout.splitlines()]
        self.assertIn("nano", [m["name"] for m in lines])
        words = watchword("models", "list", "nano").stdout.splitlines()
        self.assertEqual((len(words), words[0]), (80, "person"))

    def test_rude_names(self):
        """What a downloaded model calls itself and its tensors gives a terminal no orders, and ends no line."""
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "rude")
            os.mkdir(model)
            with open(os.path.join(model, "config.json"), "w") as file:
                json.dump({"model_type": "x\x1b[31m\nnano"}, file)
            header = json.dumps({"w\x1b]0;t\x07\n  z": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
            with open(os.path.join(model, "m.safetensors"), "wb") as file:
                file.write(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
            env = {**os.environ, "WATCHWORD_MODELS": folder}
            said = [watchword("models", env=env).stdout,
                    watchword("models", "verify", "--tensors", model).stdout]
        self.assertRegex(said[0], r"(?m)^rude +x\?\[31m nano +- ")
        self.assertIn("  family x?[31m nano, which", said[1])
        self.assertIn("\n  w?]0;t?   z  F32 [1]  4 bytes\n", said[1])

    def test_catalogue(self):
        """The one that is shipped, without a user's own."""
        with tempfile.TemporaryDirectory() as nobody:
            env = {**os.environ, "XDG_CONFIG_HOME": nobody}
            self.assertRegex(watchword("models", "fetch", "--list", env=env).stdout,
                             r"(?m)^all-MiniLM-L6-v2 +bert +87 MiB  - +Apache-2.0$")
            done = watchword("models", "fetch", "--list", "--json", env=env)
            models = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertIn("deformable-detr", [m["name"] for m in models])
        for m in models:
            self.assertRegex(m.get("revision", ""), r"^([0-9a-f]{40}|main)$")

    def test_verify(self):
        done = watchword("models", "verify", "nano")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("centernet.safetensors: 166 tensors", done.stdout)
        self.assertLess(len(done.stdout.splitlines()), 20)
        self.assertGreater(len(watchword("models", "verify", "--tensors", "nano").stdout.splitlines()), 300)
        weights = os.path.join(SOURCE, "models/nano/centernet.safetensors")
        self.assertEqual(watchword("models", "verify", weights).returncode, 0)
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as broken:
            with open(weights, "rb") as file:
                broken.write(file.read(100_000))
            broken.flush()
            done = watchword("models", "verify", broken.name)
        self.assertEqual(done.returncode, 1)
        self.assertIn(broken.name, done.stderr)


class Trace(unittest.TestCase):
    def test_case(self):
        with tempfile.TemporaryDirectory() as folder:
            ffmpeg("-f", "lavfi", "-i", "testsrc=160x120", "-frames:v", "1", f"{folder}/a.png")
            with open(f"{folder}/case.json", "w") as file:
                json.dump({"images": ["a.png"], "task": "detect", "input": [128, 96]}, file)
            done = watchword("trace", "nano", "--device", "reference", "--case", f"{folder}/case.json", "--stages",
                             "head.*", "--out", f"{folder}/o.safetensors")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            with open(f"{folder}/o.safetensors", "rb") as file:
                names = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            self.assertIn("head.heat", names)
            self.assertFalse([n for n in names if not n.startswith("head.") and n != "__metadata__"])
            done = watchword("trace", "nano", "--text", "a cat", "--text", "a dog", "--image", f"{folder}/a.png",
                             "--out", f"{folder}/p.safetensors")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("2 texts for 1 pictures", done.stderr)
            self.assertFalse(os.path.exists(f"{folder}/p.safetensors"))

    def test_fields_of_a_case(self):
        with tempfile.TemporaryDirectory() as folder:
            for fields, told in (({"input": [-1, 96]}, "'input' is -1"),
                                 ({"input_size": 1e300}, "'input_size' is 1e+300"),
                                 ({"size": {"shortest_edge": 4097}}, "'size.shortest_edge' is 4097"),
                                 ({"size": {"longest_edge": -2}}, "'size.longest_edge' is -2"),
                                 ({"box_threshold": "0.3"}, "'box_threshold' must be"),
                                 ({"threshold": 7}, "'threshold' must be"),
                                 ({"text": 5}, "'text' must be"), ({"text": []}, "'text' must be")):
                with open(f"{folder}/case.json", "w") as file:
                    json.dump(fields, file)
                done = watchword("trace", "nano", "--case", f"{folder}/case.json", "--out", f"{folder}/o.safetensors")
                self.assertEqual(done.returncode, 1)
                self.assertIn(told, done.stderr)


class Check(unittest.TestCase):
    def test_check(self):
        if not os.path.exists(os.path.join(BUILD, "daemon/watchwordd")):
            self.skipTest("watchwordd was not built")
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"streams": {"a": {"url": "test:ball", "watches": [{"task": "detekt"}]}}}')
            file.flush()
            done = watchword("check", file.name)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{file.name}: streams.a.watches[0].task: found \"detekt\"", done.stderr)
            file.seek(0)
            file.write('{"streams": {"a": {"url": "test:ball", "watches": [{"task": "detect"}]}}}')
            file.truncate()
            file.flush()
            self.assertEqual(watchword("check", file.name).returncode, 0)


class Watch(unittest.TestCase):
    """Against a publisher of its own, which sends what it should and what it should not."""

    MESSAGE = {"schema": "watchword/1", "kind": "detection", "stream": "gate", "watch": "w", "epoch": "E", "seq": 0,
               "frame": {"index": 7, "captured_at": "2026-11-22T10:15:04.120Z"}, "latency_ms": {"total": 47.2},
               "objects": [{"label": "pers\x1bon", "score": 0.714, "box": [221, 190, 248, 265]}]}

    def setUp(self):
        try:
            import zmq
        except ImportError:
            self.skipTest("python3-zmq is not installed")
        self.zmq = zmq
        self.dir = tempfile.mkdtemp(prefix="watchword-cli-")
        self.endpoint = f"ipc://{self.dir}/s"
        self.context = zmq.Context()
        self.open()

    def tearDown(self):
        self.socket.close(0)
        self.context.term()
        shutil.rmtree(self.dir)

    def open(self):
        self.socket = self.context.socket(self.zmq.XPUB)
        self.socket.bind(self.endpoint)

    def start(self, *args):
        child = subprocess.Popen([PROGRAM, "watch", "--endpoint", self.endpoint, *args], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return child

    def subscriptions(self, count):
        found = set()
        while len(found) < count:
            self.assertTrue(self.socket.poll(10000), "nobody subscribes")
            found.add(self.socket.recv().decode()[1:])
        return found

    def send(self, topic, **changes):
        self.socket.send_multipart([topic.encode(), json.dumps({**self.MESSAGE, **changes}).encode()])

    def test_json_and_topics(self):
        child = self.start("--json", "--count", "2", "detection/gate", "status")
        self.assertEqual(self.subscriptions(2), {"detection/gate/", "status/"})
        self.send("detection/gate2/")
        self.send("detection/gate/")
        self.send("status/gate/", kind="status")
        out, told = child.communicate(timeout=20)
        self.assertEqual((child.returncode, told), (0, ""))
        self.assertEqual([json.loads(line)["kind"] for line in out.splitlines()], ["detection", "status"])

    def test_any_kind(self):
        child = self.start("--count", "1", "*/gate")
        self.assertIn("pose/gate/", self.subscriptions(9))
        self.send("pose/gate/", kind="pose")
        self.assertIn("pose", child.communicate(timeout=20)[0])

    def test_readable(self):
        child = self.start("--count", "3")
        self.subscriptions(1)
        self.send("detection/gate/")
        self.socket.send_multipart([b"detection/gate/", b"no json"])
        self.send("detection/gate/", seq=5, objects=[])
        out, told = child.communicate(timeout=20)
        lines = out.splitlines()
        self.assertEqual(lines[0], "10:15:04.120  gate  detection w  frame 7  pers?on 0.71 at 221,190 27x75  47 ms")
        self.assertIn("nothing seen", lines[1])
        self.assertIn("no JSON", told)
        self.assertIn("4 messages were missed", told)

    def test_reconnect(self):
        child = self.start("--json", "--count", "2")
        self.subscriptions(1)
        self.send("detection/gate/")
        json.loads(child.stdout.readline())
        self.socket.close(0)
        time.sleep(0.3)
        self.open()
        self.subscriptions(1)
        self.send("detection/gate/", seq=1)
        out, told = child.communicate(timeout=20)
        self.assertEqual(json.loads(out)["seq"], 1)
        self.assertIn("went away", told)

    def test_time_is_over(self):
        for args, status in [([], 0), (["--count", "1"], 1)]:
            child = self.start("--seconds", "0.3", *args)
            child.communicate(timeout=20)
            self.assertEqual(child.returncode, status)

    def test_interrupt(self):
        child = self.start()
        self.subscriptions(1)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.communicate(timeout=10), ("", ""))
        self.assertEqual(child.returncode, 0)


class Demo(unittest.TestCase):
    """The whole system, for a few seconds; nothing stays behind."""

    def test_demo(self):
        for part in ["daemon/watchwordd", "cli/test-camera"]:
            if not os.path.exists(os.path.join(BUILD, part)):
                self.skipTest(f"{part} was not built")
        if not os.path.exists(FILM):
            self.skipTest("opencv-doc is not installed")
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "TMPDIR": folder, "GST_PLUGIN_PATH": os.path.join(BUILD, "plugins")}
            done = watchword("demo", "--seconds", "3", "--out", folder, env=env, timeout=280)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertRegex(done.stdout, r"detection people  frame \d+  person 0\.\d\d at")
            self.assertRegex(done.stdout, r"\d+ frames: \d+ looked at for people")
            self.assertEqual(sorted(os.listdir(folder)), ["watchword-demo.mp4", "watchword-demo.png"])
            ffmpeg("-i", f"{folder}/watchword-demo.mp4", "-f", "null", "-")
            for link in os.listdir("/proc"):
                if link.isdigit():
                    try:
                        with open(f"/proc/{link}/cmdline", "rb") as file:
                            self.assertNotIn(folder.encode(), file.read())
                    except OSError:
                        pass


if __name__ == "__main__":
    if not shutil.which("ffmpeg"):
        print("skipped: ffmpeg is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
