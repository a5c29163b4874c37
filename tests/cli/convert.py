#!/usr/bin/env python3
"""Weights from format to format: what comes back is what went in, and the same bytes each time."""
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["WATCHWORD_BUILD"], "cli/watchword")
MODEL = os.path.join(os.environ["WATCHWORD_SOURCE"], "tests/models/llama/wide/model/model.safetensors")
BLOCKS = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]


class Convert(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def convert(self, from_path, name, *args, status=0):
        path = os.path.join(self.folder, name)
        done = subprocess.run([PROGRAM, "convert", *args, from_path, path], text=True, timeout=120,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, status, done.stderr)
        self.said = done.stderr
        return path

    def bytes_of(self, path):
        with open(path, "rb") as file:
            return file.read()

    def test_there_and_back(self):
        first = self.convert(MODEL, "a.safetensors", "--type", "f32")
        there = self.convert(first, "b.gguf")
        self.assertEqual(self.bytes_of(self.convert(there, "c.safetensors")), self.bytes_of(first))

    def test_same_bytes_and_stable_types(self):
        for kind in ["f32", "f16", "bf16"] + BLOCKS:
            with self.subTest(kind):
                once = self.bytes_of(self.convert(MODEL, "a.gguf", "--type", kind))
                self.assertEqual(self.bytes_of(self.convert(MODEL, "b.gguf", "--type", kind)), once)
                again = self.convert(os.path.join(self.folder, "a.gguf"), "c.gguf")
                self.assertEqual(self.bytes_of(again), once)

    def test_refused(self):
        for kind in BLOCKS:
            self.convert(MODEL, "a.safetensors", "--type", kind, status=1)
            self.assertIn("safetensors has no blocks", self.said)
        self.convert(MODEL, "a.gguf", "--type", "q9", status=2)
        self.convert(MODEL, "a.bin", status=2)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
