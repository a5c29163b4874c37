#!/usr/bin/env python3
"""watchword models fetch against servers that cut, stall, lie and send us elsewhere: real ones, on this machine."""
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from file_server import (Server, chunked, cut, endless, garbled, head, ignore_range, nonsense, other_range, promise,
                         redirect, send, sha256, slow, stall, status, zipped)

PROGRAM = os.path.join(os.environ["WATCHWORD_BUILD"], "cli/watchword")
BLOB = random.Random(4).randbytes(300_000)  # the weights
SMALL = b'{"model_type": "test"}\n'
HUB = "/owner/repo/resolve/main/"


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="watchword-fetch-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.server = self.serve()
        self.folder = os.path.join(self.dir, "data/watchword/models/m")
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith("HF_") and not key.lower().endswith("_proxy")}
        self.env.update(XDG_DATA_HOME=f"{self.dir}/data", XDG_CONFIG_HOME=f"{self.dir}/config",
                        WATCHWORD_CATALOGUE=f"{self.dir}/catalogue.json", HF_ENDPOINT=self.endpoint())
        self.put("w.bin", BLOB)
        self.list({"name": "w.bin", "bytes": len(BLOB), "sha256": sha256(BLOB)})

    def serve(self, *args):
        server = Server(*args)
        self.addCleanup(server.close)
        return server

    def endpoint(self, server=None, host="127.0.0.1", scheme="http"):
        return f"{scheme}://{host}:{(server or self.server).port}"

    def put(self, name, data, server=None, folder=HUB):
        (server or self.server).files[folder + name] = data

    def fault(self, *faults, name="w.bin"):
        self.server.faults[HUB + name] = list(faults)

    def list(self, *files, **members):
        members = members or {"hub": "owner/repo"}
        with open(f"{self.dir}/catalogue.json", "w") as file:
            json.dump({"catalogue": 1, "models": [{"name": "m", "family": "test", "licence": "none",
                                                   **members, "files": list(files)}]}, file)

    def start(self, *args):
        return subprocess.Popen([PROGRAM, "models", "fetch", *args], env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def fetch(self, *args, status=0, name="m"):
        child = self.start(*args, name)
        out, told = child.communicate(timeout=60)
        self.assertEqual(child.returncode, status, out + told)
        self.assertNotIn("\033", told)  # no bar where there is no terminal
        if status:
            self.assertNotEqual(told, "")
            self.assertFalse(os.path.exists(f"{self.folder}/w.bin"), "half a file has its final name")
        self.told = told
        return out

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as file:
            return file.read()

    def files(self):
        return sorted(os.listdir(self.folder)) if os.path.exists(self.folder) else []

    def sound(self):
        self.assertEqual(self.read("w.bin"), BLOB)
        self.assertEqual([name for name in self.files() if ".part" in name], [])

    def ranges(self, name="w.bin"):
        return [headers.get("Range") for headers in self.server.asked(HUB + name)]


class Whole(Case):
    def test_all_files_and_again(self):
        for name in ["config.json", "1_P/config.json"]:
            self.put(name, SMALL)
        self.list({"name": "config.json"}, {"name": "1_P/config.json", "bytes": len(SMALL)},
                  {"name": "w.bin", "bytes": len(BLOB), "sha256": sha256(BLOB)})
        out = self.fetch()
        self.sound()
        self.assertEqual((self.read("config.json"), self.read("1_P/config.json")), (SMALL, SMALL))
        self.assertEqual(self.server.seen[-1][0], HUB + "config.json")  # now it is a model
        self.assertRegex(out, r"(?m)^w\.bin +300000 bytes  fetched +sha256 as in the catalogue$")
        self.assertRegex(out, r"(?m)^config\.json +23 bytes  fetched +no checksum is known$")
        self.assertTrue(out.endswith(self.folder + "\n"))
        self.assertEqual(self.told, "")
        self.server.seen.clear()
        lines = [json.loads(line) for line in self.fetch("--json").splitlines()]
        self.assertEqual(self.server.seen, [])  # nothing is asked for what is there
        self.assertEqual([line["how"] for line in lines], ["was there"] * 3)
        self.assertEqual(lines[1], {"model": "m", "file": "w.bin", "bytes": len(BLOB), "sha256": sha256(BLOB),
                                    "checked_by": "catalogue", "how": "was there"})
        with open(f"{self.folder}/w.bin", "r+b") as file:
            file.write(b"?")
        self.fetch()
        self.sound()
        self.assertIn("w.bin: what is there is another file", self.told)

    def test_into(self):
        self.fetch("--into", f"{self.dir}/a/b")
        self.folder = f"{self.dir}/a/b/m"
        self.sound()

    def test_from_an_address(self):
        self.put("w.bin", BLOB, folder="/x/")
        self.env.update(HF_TOKEN="hf_secret", HF_ENDPOINT="https://127.0.0.1:1")
        self.list({"name": "w.bin"}, url=self.endpoint() + "/x/")
        self.fetch()
        self.sound()
        self.assertNotIn("Authorization", self.server.asked("/x/w.bin")[0])

    def test_chunked(self):
        self.fault(chunked)
        self.fetch()
        self.sound()
        os.unlink(f"{self.folder}/w.bin")
        self.list({"name": "w.bin"})
        self.fault(chunked)
        self.fetch()
        self.sound()

    def test_list(self):
        out = self.start("--list").communicate(timeout=20)[0]
        self.assertRegex(out, r"^m +test +293 KiB  - +none\n$")
        out = json.loads(self.start("--list", "--json").communicate(timeout=20)[0])
        self.assertEqual(out, {"name": "m", "family": "test", "licence": "none", "hub": "owner/repo",
                               "revision": "main", "num_files": 1, "bytes": len(BLOB), "dir": None})

    def test_progress(self):
        if not shutil.which("script"):
            self.skipTest("script is not installed")
        data = BLOB * 20
        self.put("w.bin", data)
        self.list({"name": "w.bin", "bytes": len(data)})
        self.fault(slow(1))
        shown = subprocess.run(["script", "-qec", f"'{PROGRAM}' models fetch m", "/dev/null"], env=self.env,
                               stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self.assertEqual(shown.returncode, 0, shown.stdout)
        self.assertRegex(shown.stdout, r"w\.bin \[[#-]+\] \d/5 MiB  [\d.]+ MiB/s")
        self.assertEqual(self.read("w.bin"), data)


class Broken(Case):
    def test_cuts(self):
        self.fault(cut(1000), cut(5000), cut(0), cut(100_000))
        out = self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, "bytes=1000-", "bytes=6000-", "bytes=6000-", "bytes=106000-"])
        self.assertIn("If-Range", self.server.asked(HUB + "w.bin")[1])
        self.assertRegex(out, r"resumed +sha256 as in the catalogue")
        self.assertEqual(self.told.count("once more in"), 4)

    def test_stall(self):
        self.fault(stall(70_000), stall(0))
        self.fetch("--timeout", "0.4")
        self.sound()
        self.assertEqual(self.ranges(), [None, "bytes=70000-", "bytes=70000-"])
        self.assertIn("127.0.0.1: was silent for 0.4 s", self.told)

    def interrupted(self, number, code):
        self.fault(stall(70_000))
        child = self.start("m")
        part = f"{self.folder}/w.bin.part"
        for _ in range(500):
            if os.path.exists(part) and os.path.getsize(part) == 70_000:
                break
            time.sleep(0.02)
        child.send_signal(number)
        told = child.communicate(timeout=10)[1]
        self.assertEqual(child.returncode, code)
        self.assertEqual(self.files(), ["w.bin.part", "w.bin.part-of"])
        self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, "bytes=70000-"])
        return told

    def test_interrupt(self):
        self.assertEqual(self.interrupted(signal.SIGINT, 1),
                         "watchword: m: stopped; what has arrived is kept: fetch again to go on\n")

    def test_killed(self):
        self.interrupted(signal.SIGKILL, -signal.SIGKILL)

    def test_range_ignored(self):
        self.fault(cut(1000), ignore_range)
        out = self.fetch()
        self.sound()
        self.assertIn("sends it from the beginning again", self.told)
        self.assertRegex(out, r"fetched +sha256")

    def test_other_range(self):
        self.fault(cut(1000), other_range)
        self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, "bytes=1000-", None])
        self.assertIn("another piece than was asked for", self.told)

    def test_piece_unasked(self):
        self.fault(other_range)
        self.fetch(status=1)
        self.assertIn("sends a piece where the whole was asked for", self.told)

    def test_range_refused(self):
        self.fault(cut(1000), status(416))
        self.fetch()
        self.sound()

    def test_changed_meanwhile(self):
        self.list({"name": "w.bin"})
        self.fault(cut(1000), status(404))
        self.fetch(status=1)
        self.put("w.bin", BLOB[::-1])
        self.fetch()
        self.assertEqual(self.read("w.bin"), BLOB[::-1])
        self.assertEqual(self.ranges()[-1], "bytes=1000-")  # asked, with the old ETag

    def test_no_etag(self):
        """Pieces that nothing holds together are not put together."""
        self.list({"name": "w.bin"})

        def bare(h, data):
            send(h, data, sent=1000, ETag='W/"weak"')
            h.close_connection = True
        self.fault(bare)
        self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, None])

    def test_part_is_complete(self):
        os.makedirs(self.folder)
        with open(f"{self.folder}/w.bin.part", "wb") as file:
            file.write(BLOB)
        self.fetch()
        self.sound()
        self.assertEqual(self.server.seen, [])

    def test_part_is_wrong(self):
        for wrong in [b"?" * 1000, b"?" * len(BLOB), b"?" * (len(BLOB) + 1)]:
            os.makedirs(self.folder, exist_ok=True)
            with open(f"{self.folder}/w.bin.part", "wb") as file:
                file.write(wrong)
            with open(f"{self.folder}/w.bin.part-of", "wb") as file:
                file.write(b"etag \xff\nbytes -7\nsha256 zz\n\0" + b"x" * 900)
            self.fetch()
            self.sound()
            os.unlink(f"{self.folder}/w.bin")

    def test_always_cut(self):
        """A server that ignores ranges and always stops at one place is given up."""
        def stops(h, data):
            head(h, 200, len(data), Retry_After="0")
            h.wfile.write(data[:1000])
            h.close_connection = True
        self.fault(*[stops] * 20)
        self.fetch(status=1)
        self.assertIn("5 tries brought nothing", self.told)
        self.assertLess(len(self.server.seen), 8)

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.env["HF_ENDPOINT"] = f"http://127.0.0.1:{s.getsockname()[1]}"
        child = self.start("m")
        self.assertIn("once more in", child.stderr.readline())
        child.send_signal(signal.SIGINT)
        self.assertIn("stopped", child.communicate(timeout=5)[1])
        self.assertEqual(self.files(), [])  # and no empty folder stays

    def test_nonsense(self):
        self.fault(nonsense)
        self.fetch(status=1)
        self.assertIn("127.0.0.1: ", self.told)


class Lies(Case):
    def test_wrong_bytes(self):
        self.fault(garbled)
        self.fetch(status=1)
        self.assertIn(f"where the catalogue says {sha256(BLOB)}", self.told)
        self.assertEqual(self.files(), [])
        self.fetch()
        self.sound()

    def test_wrong_bytes_in_pieces(self):
        """Whose fault it was is not known: once from the beginning."""
        def bad(h, data):
            garbled_data = bytes([data[0] ^ 1]) + data[1:]
            send(h, garbled_data, sent=1000, ETag='"%s"' % sha256(data)[:16])
            h.close_connection = True
        self.fault(bad)
        self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, "bytes=1000-", None])
        self.assertIn("the pieces make no right whole", self.told)

    def test_length(self):
        for length in [len(BLOB) - 1, len(BLOB) + 1, 1 << 55]:
            self.fault(promise(length))
            self.fetch(status=1)
            self.assertIn("where the catalogue says 300000", self.told)
        self.list({"name": "w.bin", "sha256": sha256(BLOB)})
        self.fault(promise(len(BLOB) - 1))  # it arrives, and its sum tells
        self.fetch(status=1)
        self.assertIn("has sha256", self.told)
        self.fault(promise(len(BLOB) + 1))  # never comes; the next answer is right
        self.fetch()
        self.sound()

    def test_too_long(self):
        self.fault(endless(2))
        self.fetch(status=1)
        self.assertIn("sends more than the 300000 bytes", self.told)
        self.assertEqual(self.files(), [])

    def test_endless(self):
        self.put("w.bin", b"x" * 1_000_000)
        self.list({"name": "w.bin"})
        self.fault(endless(1000))
        self.fetch(status=1)
        self.assertIn("sends more than 64 MiB", self.told)
        self.assertEqual(self.files(), [])

    def test_too_short_untold(self):
        """The connection's end is the file's end, where nobody told another."""
        def early(h, data):
            endless(1)(h, data[:1000])
        self.fault(early)
        self.fetch()
        self.sound()

    def test_compressed(self):
        self.fault(zipped)
        self.list({"name": "w.bin"})
        self.fetch(status=1)
        self.assertIn("sends it compressed", self.told)


class Statuses(Case):
    def test_for_good(self):
        for code, told in [(401, "set HF_TOKEN"), (403, "accepted its licence"), (404, "has no such file"),
                           (410, "has no such file"), (416, "HTTP 416"), (418, "HTTP 418"), (204, "HTTP 204")]:
            self.server.seen.clear()
            self.fault(status(code))
            self.fetch(status=1)
            self.assertIn(told, self.told)
            self.assertIn("m: w.bin: 127.0.0.1: ", self.told)
            self.assertEqual(len(self.server.seen), 1)
        self.env["HF_TOKEN"] = "hf_secret"
        for code, told in [(401, "does not know the token in HF_TOKEN"), (403, "with the account that HF_TOKEN")]:
            self.fault(status(code))
            self.fetch(status=1)
            self.assertIn(told, self.told)
            self.assertNotIn("hf_secret", self.told)

    def test_for_now(self):
        begin = time.monotonic()
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 100))
        self.fault(status(502), status(429, Retry_After="1"), status(503, Retry_After="0"),
                   status(500, Retry_After=date))
        self.fetch()
        self.sound()
        self.assertGreater(time.monotonic() - begin, 1)
        self.assertIn("takes no more requests from here for now (HTTP 429); once more in 1.0 s", self.told)
        self.assertIn("(HTTP 503); once more in 0.0 s", self.told)
        self.assertIn("(HTTP 500); once more in 0.0 s", self.told)

    def test_for_long(self):
        later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 7000))
        for after in ["3600", later]:
            self.fault(status(429, Retry_After=after))
            self.fetch(status=1)
            self.assertRegex(self.told, r"asks to be left alone for (3600|6\d\d\d|7000) s \(HTTP 429\)")

    def test_for_ever(self):
        self.fault(*[status(503, Retry_After="0")] * 9)
        self.fetch(status=1)
        self.assertEqual(len(self.server.seen), 5)
        self.assertIn("5 tries brought nothing (fetch again later", self.told)
        self.assertIn("HTTP 503", self.told)


class Elsewhere(Case):
    """The hub redirects to where large files lie."""

    def setUp(self):
        super().setUp()
        self.store = self.serve()
        self.put("w.bin", BLOB, self.store, "/store/")
        self.env["HF_TOKEN"] = "hf_secret"

    def linked(self, host="127.0.0.1", data=BLOB, **headers):
        return redirect(self.endpoint(self.store, host) + "/store/w.bin?signed=1", X_Linked_Size=str(len(data)),
                        X_Linked_ETag=f'"{sha256(data)}"', **headers)

    def from_store(self, name="/store/w.bin?signed=1"):
        self.store.files[name] = self.store.files["/store/w.bin"]
        return self.store.asked(name)

    def test_token_stays_at_home(self):
        for host in ["127.0.0.1", "localhost"]:  # another port; another name as well
            self.list({"name": "w.bin"})
            self.from_store()
            self.fault(self.linked(host))
            out = self.fetch()
            self.sound()
            self.assertEqual(self.server.asked(HUB + "w.bin")[-1]["Authorization"], "Bearer hf_secret")
            self.assertNotIn("Authorization", self.from_store()[-1])
            self.assertIn("checksum by the server", out)
            os.unlink(f"{self.folder}/w.bin")

    def test_token_within_home(self):
        self.put("moved.bin", BLOB)
        self.fault(redirect(HUB + "moved.bin", 307))
        self.fetch()
        self.sound()
        self.assertEqual(self.server.asked(HUB + "moved.bin")[0]["Authorization"], "Bearer hf_secret")

    def test_token_comes_not_back(self):
        """Elsewhere sends us home again: the token is home's. Home by another name is not home."""
        self.put("moved.bin", BLOB)
        self.from_store()
        self.store.faults["/store/w.bin?signed=1"] = [redirect(self.endpoint(host="localhost") + HUB + "moved.bin")]
        self.fault(self.linked())
        self.fetch()
        self.assertNotIn("Authorization", self.server.asked(HUB + "moved.bin")[0])

    def test_token_on_the_open_net(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.connect(("192.0.2.1", 9))  # sends nothing; tells which address this machine would use
                address = s.getsockname()[0]
            except OSError:
                address = "127.0.0.1"
        if address.startswith("127."):
            self.skipTest("this machine has no address but its own")
        server = self.serve(address)
        self.put("w.bin", BLOB, server)
        self.env["HF_ENDPOINT"] = self.endpoint(server, address)
        self.fetch()
        self.sound()
        self.assertNotIn("Authorization", server.seen[0][1])
        self.assertIn("HF_TOKEN is not sent", self.told)

    def test_server_checksum(self):
        self.list({"name": "w.bin"})
        self.from_store()
        self.fault(self.linked(data=BLOB[::-1]))  # the same size, another sum
        self.fetch(status=1)
        self.assertIn(f"where the server says {sha256(BLOB[::-1])}", self.told)
        self.assertEqual(self.files(), [])
        # What the store itself says is not believed.
        self.store.faults["/store/w.bin?signed=1"] = [
            lambda h, data: send(h, data, X_Linked_ETag=f'"{sha256(b"x")}"', X_Linked_Size="7")]
        self.fault(redirect(self.endpoint(self.store) + "/store/w.bin?signed=1"))
        self.assertIn("no checksum is known", self.fetch())

    def test_catalogue_against_hub(self):
        self.from_store()
        for other in [BLOB[::-1], BLOB[1:]]:
            self.fault(self.linked(data=other))
            self.fetch(status=1)
            self.assertIn("has another file under that name", self.told)

    def test_store_lies(self):
        self.list({"name": "w.bin"})
        self.from_store()
        self.store.faults["/store/w.bin?signed=1"] = [promise(1000)]
        self.fault(self.linked(), self.linked())
        self.fetch()
        self.sound()
        self.assertIn("offers 1000 bytes of a file that has 300000", self.told)

    def test_resume_elsewhere(self):
        self.list({"name": "w.bin"})
        self.from_store()
        self.store.faults["/store/w.bin?signed=1"] = [cut(1000)]
        self.fault(self.linked(), self.linked())
        self.fetch()
        self.sound()
        self.assertEqual(self.from_store()[-1]["Range"], "bytes=1000-")

    def test_another_revision(self):
        """The hub's file changed between two runs, and the store ignores If-Range."""
        self.list({"name": "w.bin"})
        self.from_store()
        self.store.faults["/store/w.bin?signed=1"] = [cut(1000), status(404)]
        self.fault(self.linked(), self.linked())
        self.fetch(status=1)
        new = BLOB[::-1]
        self.store.files["/store/w.bin?signed=1"] = new
        self.store.faults["/store/w.bin?signed=1"] = [
            lambda h, data: (head(h, 206, len(data) - 1000, Content_Range=f"bytes 1000-{len(data) - 1}/{len(data)}"),
                             h.wfile.write(data[1000:]))]
        self.fault(self.linked(data=new), self.linked(data=new))
        self.fetch()
        self.assertEqual(self.read("w.bin"), new)
        self.assertIn("is another file by now", self.told)

    def test_nowhere(self):
        for target, told in [("file:///etc/passwd", "nowhere"), ("ftp://127.0.0.1/x", "nowhere"),
                             (HUB + "w.bin", "on and on"), ("http://", "nowhere")]:
            self.server.seen.clear()
            self.fault(*[redirect(target)] * 12)
            self.fetch(status=1)
            self.assertIn(told, self.told)
            self.assertLess(len(self.server.seen), 10)


class Encrypted(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("openssl"):
            self.skipTest("openssl is not installed")
        key, self.certificate = f"{self.dir}/key.pem", f"{self.dir}/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days",
                        "2", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", self.certificate],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.plain, self.server = self.server, self.serve("127.0.0.1", context)
        self.put("w.bin", BLOB)
        self.env.update(HF_ENDPOINT=self.endpoint(host="localhost", scheme="https"), HF_TOKEN="hf_secret")

    def test_certificate(self):
        self.fetch(status=1)
        self.assertEqual(self.server.seen, [])
        self.assertIn("certificate", self.told)
        self.env["SSL_CERT_FILE"] = self.certificate
        self.fetch()
        self.sound()
        self.assertEqual(self.server.seen[0][1]["Authorization"], "Bearer hf_secret")

    def test_never_down(self):
        self.env["SSL_CERT_FILE"] = self.certificate
        self.put("w.bin", BLOB, self.plain)
        self.fault(redirect(self.endpoint(self.plain) + HUB + "w.bin"))
        self.fetch(status=1)
        self.assertEqual(self.plain.seen, [])
        self.assertIn("without encryption", self.told)


class Folder(Case):
    def test_two_at_once(self):
        self.fault(slow(1))
        first = self.start("m")
        for _ in range(500):
            if self.server.seen:
                break
            time.sleep(0.01)
        second = self.start("m")
        out, told = second.communicate(timeout=30)
        self.assertEqual((first.wait(30), second.returncode), (0, 0), told)
        first.communicate()
        self.assertIn("another fetch is at work there", told)
        self.assertIn("was there", out)
        self.assertEqual(len(self.server.seen), 1)
        self.sound()

    def test_space(self):
        for more in [{}, {"sha256": sha256(BLOB)}]:
            self.list({"name": "w.bin", "bytes": 1 << 50, **more})
            self.fetch(status=1)
            self.assertRegex(self.told, r"needs 1073741825 MiB more, and \d+ MiB are free there: make room, or")
        self.assertEqual(self.server.seen, [])
        self.list({"name": "w.bin"})  # the server says it
        self.fault(promise(1 << 50))
        self.fetch(status=1)
        self.assertIn("MiB are free there", self.told)

    def test_disk_full(self):
        small = f"{self.dir}/small"
        os.mkdir(small)
        prefix = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size=128k none "{small}" && "$@"; s=$?; '
                  f'ls -A "{small}/m" | tr "\\n" " "; exit $s', "sh"]
        if not shutil.which("unshare") or subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no file system of its own can be made here")
        self.list({"name": "w.bin"})
        self.fault(endless(1))
        done = subprocess.run([*prefix, PROGRAM, "models", "fetch", "--into", small, "m"], env=self.env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no space is left for it: make some, or take another folder with --into", done.stderr)
        self.assertEqual(done.stdout.split(), ["w.bin.part", "w.bin.part-of"])

    def test_links(self):
        """A link that lies in the folder leads nobody out of it."""
        outside = f"{self.dir}/outside"
        os.makedirs(outside)
        os.makedirs(self.folder)
        os.symlink(outside, f"{self.folder}/1_P")
        self.list({"name": "1_P/w.bin"})
        self.put("1_P/w.bin", BLOB)
        self.fetch(status=1)
        self.assertIn("1_P: cannot open the folder", self.told)
        os.symlink(f"{outside}/victim", f"{self.folder}/w.bin.part")
        self.list({"name": "w.bin"})
        self.fetch(status=1)
        self.assertEqual(os.listdir(outside), [])

    def test_not_ours(self):
        os.makedirs(os.path.dirname(self.folder))
        with open(self.folder, "w") as file:
            file.write("a file")
        self.fetch(status=1)
        self.assertIn("cannot open the folder: Not a directory", self.told)

    def test_hostile_catalogue(self):
        for name in ["../w.bin", "/etc/w.bin", "a/../../w.bin", "w\n.bin"]:
            self.list({"name": name})
            self.fetch(status=1)
            self.assertIn("catalogue.json: models[0] ('m'): files[0]: 'name' is", self.told)
        self.assertEqual(self.server.seen, [])

    def test_own_catalogue(self):
        os.makedirs(f"{self.dir}/config/watchword")
        with open(f"{self.dir}/config/watchword/catalogue.json", "w") as file:
            json.dump({"catalogue": 1, "models": [{"name": "mine", "family": "test", "licence": "none",
                                                   "hub": "owner/repo", "files": [{"name": "w.bin"}]}]}, file)
        self.folder = os.path.join(os.path.dirname(self.folder), "mine")
        self.fetch(name="mine")
        self.sound()


class Usage(Case):
    def test_wrong(self):
        self.fetch(status=1, name="xyzzy")
        self.assertIn("the catalogue has no model 'xyzzy'; see watchword models fetch --list", self.told)
        self.list({"name": "w.bin"}, hub="owner/repo", name="grounding-dino-tiny")
        self.fetch(status=1, name="grounding-dino-tyni")
        self.assertIn("did you mean 'grounding-dino-tiny'?", self.told)
        self.fetch("--timeout", "0", status=2)
        self.fetch("--list", status=2)
        for endpoint in ["127.0.0.1", "ftp://127.0.0.1", "http://me:secret@127.0.0.1", "http://127.0.0.1/?x", "http://"]:
            self.env["HF_ENDPOINT"] = endpoint
            self.fetch(status=2, name="grounding-dino-tiny")
            self.assertIn("HF_ENDPOINT is", self.told)
        self.env["HF_ENDPOINT"] = self.endpoint()
        for token in ["a b", "a\nHost: b", "é"]:
            self.env["HF_TOKEN"] = token
            self.fetch(status=2, name="grounding-dino-tiny")
            self.assertIn("HF_TOKEN has a character that no token has", self.told)
        self.assertEqual(self.server.seen, [])


if __name__ == "__main__":
    probe = subprocess.run([PROGRAM, "models", "fetch", "all-MiniLM-L6-v2"], stderr=subprocess.PIPE, text=True,
                           env={**os.environ, "HF_ENDPOINT": "http://127.0.0.1:0", "XDG_DATA_HOME": "/nowhere"})
    if "this build cannot fetch" in probe.stderr:
        print("skipped:", probe.stderr.strip())
        sys.exit(77)
    unittest.main(verbosity=2)
