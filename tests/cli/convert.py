#!/usr/bin/env python3
"""Weights from format to format: what comes back is what went in, and the same bytes each time."""
import os
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["WATCHWORD_BUILD"], "cli/watchword")
MODEL = os.path.join(os.environ["WATCHWORD_SOURCE"], "tests/models/llama/wide/model/model.safetensors")
BLOCKS = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]


def keys_of(path):
    """The keys of a GGUF file, arrays as lists."""
    with open(path, "rb") as file:
        def number(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

        def value(kind):
            if kind == 8:
                return file.read(number("Q"))
            if kind == 9:
                kind = number("I")
                return [value(kind) for _ in range(number("Q"))]
            return number("BbHhIif?  Qqd"[kind])

        assert file.read(4) == b"GGUF" and number("I") == 3
        number("Q")
        return {file.read(number("Q")).decode(): value(number("I")) for _ in range(number("Q"))}


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

    def test_keys(self):
        """From GGUF to GGUF all that is said about the model stays; how it is stored is made true."""
        source = os.path.join(os.path.dirname(MODEL), "../../mha/gguf/Q8_0.gguf")
        were = keys_of(source)
        self.assertEqual((were["general.file_type"], were["llama.block_count"]), (7, 3))
        self.assertEqual(len(were["tokenizer.ggml.tokens"]), 512)
        self.assertEqual(keys_of(self.convert(source, "same.gguf")), were)
        for kind, number in [("f32", 0), ("f16", 1), ("bf16", 32), ("q4_0", 2), ("q5_1", 9), ("q4_k", 0)]:
            path = self.convert(source, f"{kind}.gguf", "--type", kind)  # rows of 64 are no blocks of 256
            self.assertEqual(keys_of(path), {**were, "general.file_type": number})
            self.assertEqual(keys_of(self.convert(path, "again.gguf")), keys_of(path))
        # Where nothing is said, what is true of the file; and what says nothing else says that as well.
        for kind, number in [("q4_k", 14), ("q5_k", 16), ("q6_k", 18), ("q8_0", 7)]:
            self.assertEqual(keys_of(self.convert(MODEL, "a.gguf", "--type", kind)),
                             {"general.file_type": number, "general.quantization_version": 2})
        self.assertEqual(keys_of(self.convert(MODEL, "a.gguf", "--type", "f16")), {"general.file_type": 1})

    def test_words(self):
        """A converted language model says what it said: the same text from the same file, copied or widened."""
        source = os.path.join(os.path.dirname(MODEL), "../../gqa/gguf/BF16.gguf")

        def says(path):
            return subprocess.run([PROGRAM, "complete", path, "Is anyone at the gate?", "--max-tokens", "24"],
                                  text=True, check=True, stdout=subprocess.PIPE, timeout=120).stdout

        self.assertGreater(len(says(source)), 12)
        self.assertEqual(says(self.convert(source, "same.gguf")), says(source))
        self.assertEqual(says(self.convert(source, "wide.gguf", "--type", "f32")), says(source))

    def test_refused(self):
        for kind in BLOCKS:
            self.convert(MODEL, "a.safetensors", "--type", kind, status=1)
            self.assertIn("safetensors has no blocks", self.said)
        self.convert(MODEL, "a.gguf", "--type", "q9", status=2)
        self.convert(MODEL, "a.bin", status=2)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
