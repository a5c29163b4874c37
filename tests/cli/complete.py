#!/usr/bin/env python3
"""The watchword command about words: texts to tokens and back, and what a language model says."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from command_case import PROGRAM, SOURCE, watchword


class Tokenize(unittest.TestCase):
    MODEL = os.path.join(os.path.dirname(__file__), "../unit/tokenizers/smollm2.gguf")

    def test_there_and_back(self):
        text = "The capital of France is"
        self.assertEqual(watchword("tokenize", self.MODEL, text).stdout, "504 3575 282 4649 314\n")
        self.assertEqual(watchword("tokenize", self.MODEL, text, "--json").stdout, "[504,3575,282,4649,314]\n")
        self.assertEqual(watchword("tokenize", self.MODEL, "--decode", "504,3575,282,4649,314").stdout, text + "\n")
        clip = os.path.join(os.path.dirname(self.MODEL), "clip")
        ids = watchword("tokenize", clip, "A photo of a cat").stdout
        self.assertEqual(ids, "49406 320 1125 539 320 2368 49407\n")
        self.assertEqual(watchword("tokenize", clip, "--decode", ids.strip()).stdout,
                         "<|startoftext|>a photo of a cat <|endoftext|>\n")
        spans = watchword("tokenize", clip, "A cat", "--spans").stdout
        self.assertEqual(spans, "49406 0 0\n320 0 1\n2368 2 5\n49407 5 5\n")
        spans = watchword("tokenize", clip, "A cat", "--spans", "--json").stdout
        self.assertEqual(spans, "[[49406,0,0],[320,0,1],[2368,2,5],[49407,5,5]]\n")
        wrong = watchword("tokenize", self.MODEL, "--decode", "49152")
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("no id", wrong.stderr)


class Complete(unittest.TestCase):
    """Words of a small LLaMA, against the tokens that the transformers library says."""
    LLAMA = os.path.join(SOURCE, "tests/models/llama")
    MODEL = os.path.join(LLAMA, "gqa/gguf/BF16.gguf")

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(cls.LLAMA, "gqa/case.json")) as file:
            case = json.load(file)
        cls.prompt = watchword("tokenize", cls.MODEL, "--decode", ",".join(map(str, case["prompt_ids"]))).stdout[:-1]
        cls.num_prompt, cls.ids = len(case["prompt_ids"]), case["greedy_ids"]
        cls.text = watchword("tokenize", cls.MODEL, "--decode", ",".join(map(str, cls.ids))).stdout[:-1]

    def complete(self, *args, model=MODEL, prompt=None, **more):
        done = watchword("complete", model, self.prompt if prompt is None else prompt, *args, **more)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def json(self, *args, **more):
        """The lines about tokens, and the last; they agree."""
        *lines, last = map(json.loads, self.complete("--json", *args, **more).splitlines())
        self.assertEqual("".join(line["text"] for line in lines), last["text"])
        self.assertEqual(last["tokens"], sum(line["token"] is not None for line in lines))
        self.assertTrue(all(line["ms"] >= 0 for line in lines))
        return lines, last

    def test_text(self):
        self.assertEqual(self.complete("--max-tokens", "32"), self.text + "\n")

    def test_json(self):
        for device in [[], ["--device", "reference"]]:
            lines, last = self.json("--max-tokens", "32", *device)
            self.assertEqual([line["token"] for line in lines if line["token"] is not None], self.ids)
            self.assertEqual((last["reason"], last["text"], last["stop"]), ("max-tokens", self.text, None))
            self.assertEqual((last["prompt_tokens"], last["tokens"], last["seed"]), (self.num_prompt, 32, None))
            self.assertAlmostEqual(last["prompt_tokens_per_s"] * last["prompt_ms"] / 1e3, self.num_prompt, delta=0.1)
            self.assertAlmostEqual(last["tokens_per_s"] * last["ms"] / 1e3, 31, delta=0.1)

    def test_standard_input(self):
        with tempfile.TemporaryFile("w+") as file:
            file.write(self.prompt + "\n")
            file.seek(0)
            done = subprocess.run([PROGRAM, "complete", self.MODEL, "-", "--max-tokens", "32"], stdin=file, text=True,
                                  stdout=subprocess.PIPE, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, self.text + "\n"))

    def test_stop(self):
        """A text across the borders of tokens; of two the one that comes first."""
        stop, late = self.text[9:12], self.text[20:24]
        self.assertEqual(self.complete("--stop", late, "--stop", stop, "--max-tokens", "32"),
                         self.text[:self.text.index(stop)] + "\n")
        lines, last = self.json("--stop", late, "--stop", stop, "--max-tokens", "32")
        self.assertEqual((last["reason"], last["stop"]), ("stop-text", stop))
        self.assertLess(last["tokens"], 32)
        # What only begins it is said in the end.
        begun = self.text + "?"
        _, last = self.json("--stop", begun, "--max-tokens", "32")
        self.assertEqual((last["reason"], last["text"]), ("max-tokens", self.text))
        done = watchword("complete", self.MODEL, "a", "--stop", "")
        self.assertEqual(done.returncode, 1)
        self.assertIn("0 bytes: 1 to 256", done.stderr)

    def test_context(self):
        _, last = self.json("--context", str(self.num_prompt + 4))
        self.assertEqual((last["reason"], last["tokens"]), ("context-full", 5))
        size = ["--context", str(self.num_prompt + 4), "--temperature", "1", "--seed", "3"]
        short, last = self.json(*size)
        long, slid = self.json(*size, "--slide", "--max-tokens", "60")
        self.assertEqual((last["reason"], slid["reason"]), ("context-full", "max-tokens"))
        self.assertEqual([t["token"] for t in long[:len(short)]], [t["token"] for t in short])
        self.assertEqual(self.complete("--cache", "f16", "--max-tokens", "32"), self.text + "\n")
        done = watchword("complete", self.MODEL, self.prompt, "--context", "8")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("a prompt of 30 tokens: 1 to 8 are possible", done.stderr)

    def test_drawn(self):
        args = ["--temperature", "1.5", "--top-k", "50", "--top-p", "0.95", "--min-p", "0.01", "--max-tokens", "16"]
        lines, last = self.json(*args)
        again, _ = self.json(*args, "--seed", str(last["seed"]))
        self.assertEqual([line["token"] for line in again], [line["token"] for line in lines])
        others = {tuple(line["token"] for line in self.json(*args, "--seed", str(seed))[0]) for seed in range(4)}
        self.assertGreater(len(others), 1)
        # Whoever leaves one token to draw from draws the likeliest.
        for only in [["--top-k", "1"], ["--top-p", "1e-9"], ["--min-p", "1"]]:
            self.assertEqual(self.complete("--temperature", "2", *only, "--max-tokens", "32"), self.text + "\n")

    def test_end_token(self):
        """Some seed draws the checkpoint's own end before long; it is not said."""
        for seed in range(40):
            lines, last = self.json("--temperature", "3", "--seed", str(seed), "--max-tokens", "100")
            self.assertFalse({0, 2} & {line["token"] for line in lines})
            if last["reason"] == "end-token":
                return
        self.fail("no seed of 40 draws the end")

    def test_chat(self):
        """The chat that the golden prompt was written as, but for the system message that stands above it here."""
        question = re.search(r"user\n(.*)<\|im_end\|>", self.prompt).group(1)
        written = f"<|im_start|>system\nbe brief<|im_end|>\n{self.prompt}"
        plain, last = self.json("--max-tokens", "8", prompt=written)
        chat, chat_last = self.json("--max-tokens", "8", "--chat=chatml", "--system", "be brief", prompt=question)
        self.assertEqual([t["token"] for t in chat], [t["token"] for t in plain])
        self.assertEqual(chat_last["prompt_tokens"], last["prompt_tokens"])
        # What looks like a token in a message is none.
        _, more = self.json("--max-tokens", "1", "--chat=chatml", "--system", "be brief",
                            prompt=question + "<|im_end|>")
        self.assertGreater(more["prompt_tokens"], last["prompt_tokens"] + 1)
        vicuna = os.path.join(self.LLAMA, "mha/model")
        _, last = self.json("--max-tokens", "3", "--chat=vicuna", model=vicuna, prompt="Is anyone at the gate?")
        self.assertGreater(last["prompt_tokens"], 50)  # the form's system message
        done = watchword("complete", self.MODEL, "--chat", question)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("--chat=chatml or --chat=vicuna says which one", done.stderr)

    def test_interrupt(self):
        for _ in range(10):  # it may be over before the signal comes
            done = subprocess.Popen([PROGRAM, "complete", self.MODEL, self.prompt, "--json", "--temperature", "0.5",
                                     "--seed", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            first = done.stdout.readline()
            done.send_signal(signal.SIGINT)
            rest, told = done.communicate(timeout=60)
            self.assertEqual((done.returncode, told), (0, ""))
            *lines, last = map(json.loads, [first, *rest.splitlines()])
            self.assertEqual("".join(line["text"] for line in lines), last["text"])
            if last["reason"] == "interrupted":
                return
        self.fail("never interrupted")

    def test_output_that_fails(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "complete", self.MODEL, "a", "--max-tokens", "9"], stdout=full,
                                  stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, "watchword: standard output: No space left on device\n"))

    def test_terminal(self):
        """A terminal obeys what it reads: control characters do not get there, and a summary does."""
        if not shutil.which("script"):
            self.skipTest("script is not installed")
        raw = self.complete("--max-tokens", "100", "--temperature", "5", "--seed", "3", prompt="a")
        control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
        self.assertRegex(raw, control)
        shown = subprocess.run(["script", "-qec", f"'{PROGRAM}' complete '{self.MODEL}' a --max-tokens 100 "
                                "--temperature 5 --seed 3", "/dev/null"], stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
        text = shown.stdout.decode().replace("\r\n", "\n")
        self.assertNotRegex(text, control)
        self.assertEqual(len(text[:text.index("\n1 prompt tokens")]), len(raw) - 1)
        self.assertRegex(text, r"\n1 prompt tokens, [\d.]+/s; \d+ tokens, [\d.]+/s; ended by (--max-tokens|its end)\n$")

    def test_failures(self):
        for args, told, *status in [
            (["no-such-model", "a"], "no model 'no-such-model'"),
            ([os.path.join(SOURCE, "docs"), "a"], "docs"),
            (["nano", "a"], "no language model"),
            ([self.MODEL, ""], "the prompt is empty"),
            ([self.MODEL, "a", "--device", "abacus"], "no device 'abacus'"),
            ([self.MODEL, "a", "--context", "100000"], "at most 256 are possible", 2),
        ]:
            with self.subTest(args=args):
                done = watchword("complete", *args)
                self.assertEqual((done.returncode, done.stdout), (*(status or [1]), ""), done.stderr)
                self.assertIn(told, done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
