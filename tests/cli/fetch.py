#!/usr/bin/env python3
"""watchword models fetch from servers that cut, stall and lie: real ones, on this machine."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

from fetch_case import BLOB, HUB, PROGRAM, Case, main
from file_server import (chunked, cut, endless, garbled, head, ignore_range, nonsense, other_range, promise, send,
                         sha256, slow, stall, status, zipped)

SMALL = b'{"model_type": "test"}\n'


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

    def interrupted(self, number, code, meanwhile=lambda: None, again="bytes=70000-"):
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
        meanwhile()
        self.fetch()
        self.sound()
        self.assertEqual(self.ranges(), [None, again])
        return told

    def test_interrupt(self):
        self.assertEqual(self.interrupted(signal.SIGINT, 1),
                         "watchword: m: stopped; what has arrived is kept: fetch again to go on\n")

    def test_killed(self):
        self.interrupted(signal.SIGKILL, -signal.SIGKILL)

    def another_start(self):
        """The system went down and came up again: what was not on the disk is a hole."""
        with open(f"{self.folder}/w.bin.part-of") as file:
            lines = file.read().splitlines(keepends=True)
        with open(f"{self.folder}/w.bin.part-of", "w") as file:
            file.writelines("boot another\n" if line.startswith("boot ") else line for line in lines)
        synced = sum(int(line.split()[1]) for line in lines if line.startswith("synced "))
        with open(f"{self.folder}/w.bin.part", "r+b") as file:
            file.seek(synced)
            file.write(bytes(70_100 - synced))

    def test_power_lost_later(self):
        self.interrupted(signal.SIGINT, 1, self.another_start)

    def test_power_lost(self):
        self.interrupted(signal.SIGKILL, -signal.SIGKILL, self.another_start, again=None)

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

    def test_asks_for_a_day_but_serves(self):
        """Retry-After counts where a server refuses, not where it breaks off what it sends."""
        def stops(h, data):
            head(h, 200, len(data), Retry_After="86400")
            h.wfile.write(data[:1000])
            h.close_connection = True
        self.fault(stops)
        self.fetch()
        self.sound()

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

    def test_large_unlisted(self):
        """Of what the catalogue knows nothing of, the server's word is good for 64 MiB, or 64 GiB of weights."""
        big = b"x" * 1000
        for name, gives, most in (("t.json", 65 << 20, 64), ("w.bin", 65 << 30, 64 << 10)):
            self.put(name, big)
            self.list({"name": name})
            self.fault(promise(gives), name=name)
            self.fetch(status=1)
            self.assertIn(f"says that it has {gives >> 20} MiB, and {most} are taken", self.told)
            self.assertEqual(self.files(), [])
        self.list({"name": "t.json", "bytes": 65 << 20})
        self.fault(promise(65 << 20), name="t.json")
        self.fetch(status=1)
        self.assertNotIn("are taken", self.told)  # but cut, at last

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


if __name__ == "__main__":
    main()
