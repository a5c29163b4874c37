#!/usr/bin/env python3
"""Weights from format to format: what comes back is what went in, and the same bytes each time."""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import tempfile
import unittest

from command_case import PROGRAM

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

    def says(self, path, prompt="Is anyone at the gate? 12 of them"):
        return subprocess.run([PROGRAM, "complete", path, prompt, "--max-tokens", "24"], text=True,
                              check=True, stdout=subprocess.PIPE, timeout=120).stdout

    def copy(self, name, **changes):
        """A model's directory, with another configuration."""
        path = os.path.join(self.folder, name + "-" + str(len(os.listdir(self.folder))))
        shutil.copytree(os.path.join(os.path.dirname(MODEL), "../..", name, "model"), path)
        with open(os.path.join(path, "config.json")) as file:
            config = json.load(file)
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump({**config, **changes}, file)
        return path

    def test_whole_model(self):
        """A directory becomes a GGUF file that is a model: the keys that llama.cpp's own converter
        wrote for the same one, and the same greedy text."""
        for name, golden in [("gqa", "BF16"), ("mha", "F16")]:
            with self.subTest(name):
                source = self.copy(name)
                path = self.convert(source, "whole.gguf")
                want = keys_of(os.path.join(os.path.dirname(MODEL), f"../../{name}/gguf/{golden}.gguf"))
                got = keys_of(path)
                for key in want:
                    if key.startswith(("llama.", "tokenizer.")) or key == "general.architecture":
                        self.assertEqual((key, got.get(key)), (key, want[key]))
                self.assertEqual("'legacy' false" in self.said, name == "mha")
                self.assertEqual(self.says(path), self.says(source))
                first = self.bytes_of(path)
                self.assertEqual(self.bytes_of(self.convert(source, "again.gguf")), first)
                for kind in ["f32", "f16", "q8_0"]:
                    path = self.convert(source, f"{kind}.gguf", "--type", kind)
                    self.assertGreater(len(self.says(path)), 12)
                    if kind == "f32":
                        self.assertEqual(self.says(path), self.says(source))

    def test_special_tokens(self):
        """What the tokenizer does not name config.json may; -1 is none."""
        def padding(**changes):
            source = self.copy("gqa", **changes)
            os.remove(os.path.join(source, "tokenizer_config.json"))
            return keys_of(self.convert(source, "a.gguf")).get("tokenizer.ggml.padding_token_id")

        self.assertEqual(padding(), None)
        self.assertEqual(padding(pad_token_id=7), 7)
        self.assertEqual(padding(pad_token_id=-1), None)
        self.assertEqual(padding(pad_token_id=320), None)

    def invent(self, vocabulary, hidden=32):
        """A model of one layer with weights by chance, and no tokenizer yet."""
        shapes = {"model.embed_tokens.weight": (vocabulary, hidden), "model.norm.weight": (hidden,)}
        for name in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                     "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]:
            shapes[f"model.layers.0.{name}.weight"] = (hidden, hidden)
        for name in ["input_layernorm", "post_attention_layernorm"]:
            shapes[f"model.layers.0.{name}.weight"] = (hidden,)
        header, data, chance = {}, b"", random.Random(1)
        for name, shape in shapes.items():
            count = math.prod(shape)
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
            data += struct.pack(f"<{count}f", *(chance.uniform(-1, 1) for _ in range(count)))
        path = tempfile.mkdtemp(dir=self.folder)
        with open(os.path.join(path, "model.safetensors"), "wb") as file:
            text = json.dumps(header).encode()
            file.write(struct.pack("<Q", len(text)) + text + data)
        with open(os.path.join(path, "config.json"), "w") as file:
            json.dump({"model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "num_hidden_layers": 1,
                       "num_attention_heads": 1, "intermediate_size": hidden, "tie_word_embeddings": True}, file)
        return path

    def ids(self, model, texts):
        done = subprocess.run([PROGRAM, "tokenize", model, "--json"], text=True, check=True, timeout=120,
                              input="".join(json.dumps(text) + "\n" for text in texts), stdout=subprocess.PIPE)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_pieces_of_json(self):
        """SentencePiece as tokenizer.json alone tells it: merges become scores, and texts the same tokens,
        but for what GGUF cannot say."""
        tokenizers = os.path.join(os.environ["WATCHWORD_SOURCE"], "tests/unit/tokenizers")
        texts, others = [], []
        with open(os.path.join(tokenizers, "llama-json.jsonl")) as file:
            for line in file:
                text = bytes.fromhex(json.loads(line)["hex"]).decode(errors="replace")
                if "<" not in text and "[" not in text:
                    (others if text.startswith((" ", "\u2581")) else texts).append(text)
        self.assertGreater(len(texts), 100)
        source = self.invent(2026)
        shutil.copy(os.path.join(tokenizers, "llama/tokenizer.json"), source)
        path = self.convert(source, "pieces.gguf")
        self.assertIn("'legacy' false", self.said)
        self.assertIn("'[PAD]' takes blanks beside it along", self.said)
        for text, want, got in zip(texts, self.ids(source, texts), self.ids(path, texts)):
            self.assertEqual((text, got), (text, want))
        self.assertNotEqual(self.ids(path, ["<s>a"]), self.ids(source, ["<s>a"]))
        self.assertEqual(self.says(path, "a gate"), self.says(source, "a gate"))

        with open(os.path.join(source, "tokenizer.json")) as file:
            document = json.load(file)
        document["pre_tokenizer"] = None  # the older rule is GGUF's
        document["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "\u2581"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
        with open(os.path.join(source, "tokenizer.json"), "w") as file:
            json.dump(document, file)
        path = self.convert(source, "pieces.gguf")
        self.assertNotIn("'legacy' false", self.said)
        for text, want, got in zip(texts + others, self.ids(source, texts + others), self.ids(path, texts + others)):
            self.assertEqual((text, got), (text, want))

    def test_scaled_positions(self):
        for scaling in [{"rope_type": "linear", "factor": 3.0},
                        {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 16},
                        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
                        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
                         "attention_factor": 1.3, "beta_fast": 16.0}]:
            with self.subTest(scaling=scaling):
                source = self.copy("gqa", rope_scaling=scaling)
                self.assertEqual(self.says(self.convert(source, "scaled.gguf", "--type", "f32")), self.says(source))
        source = self.copy("gqa", rope_scaling={"rope_type": "yarn", "factor": 4.0, "truncate": False})
        self.convert(source, "no.gguf", status=1)
        self.assertIn("'truncate' is false", self.said)

    def test_whole_blocks(self):
        """Rows of 256 in blocks of 256, with a vocabulary of bytes alone."""
        source = self.copy("wide")
        with open(os.path.join(source, "tokenizer.json"), "w") as file:
            printed = [c for c in range(256) if 33 <= c < 127 or 161 <= c < 173 or 174 <= c < 256]
            letters = printed + [256 + i for i in range(256 - len(printed))]
            json.dump({"added_tokens": [], "normalizer": None, "post_processor": None,
                       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
                       "model": {"type": "BPE", "merges": [], "vocab": {chr(c): i for i, c in enumerate(letters)}}},
                      file)
        weights = os.path.join(source, "model.safetensors")
        path = self.convert(source, "whole.gguf", "--type", "q4_k")
        self.assertEqual(keys_of(path)["general.file_type"], 14)
        self.assertGreater(len(self.says(path)), 0)
        os.rename(weights, os.path.join(source, "model.bin.safetensors"))
        self.assertEqual(self.bytes_of(self.convert(source, "again.gguf", "--type", "q4_k")), self.bytes_of(path))

    def test_no_such_architecture(self):
        source = self.copy("gqa", model_type="mamba")
        self.convert(source, "no.gguf", status=1)
        self.assertIn("'mamba'", self.said)
        source = self.copy("wide")  # no tokenizer
        self.convert(source, "no.gguf", status=1)
        self.assertIn("there is no tokenizer.model", self.said)
        self.assertFalse([name for name in os.listdir(self.folder) if name.endswith((".gguf", ".part"))])

    def test_refused(self):
        for kind in BLOCKS:
            self.convert(MODEL, "a.safetensors", "--type", kind, status=1)
            self.assertIn("safetensors has no blocks", self.said)
        self.convert(MODEL, "a.gguf", "--type", "q9", status=2)
        self.convert(MODEL, "a.bin", status=2)
        self.assertEqual(os.listdir(self.folder), [])


if __name__ == "__main__":
    unittest.main()
