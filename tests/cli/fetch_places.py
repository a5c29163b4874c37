#!/usr/bin/env python3
"""Where watchword models fetch goes, whom it tells the token, and where it writes."""
import json
import os
import shutil
import socket
import ssl
import subprocess
import time

from fetch_case import BLOB, HUB, PROGRAM, Case, main
from file_server import cut, endless, head, promise, redirect, send, sha256, slow, status


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
        self.list({"name": "w.bin", "sha256": sha256(BLOB)})  # the server says it
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
    main()
