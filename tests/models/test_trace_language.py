#!/usr/bin/env python3
"""watchword trace of language models: stages by the golden sets' names and shapes, within their tolerances."""

import array
import json
import os
import subprocess
import sys
import tempfile

WATCHWORD, DEVICE = sys.argv[1:3]
HERE = os.path.join(os.environ["WATCHWORD_SOURCE"], "tests/models/llama")
failures = 0


def check(ok, what):
    global failures
    if not ok:
        print("FAILED:", what)
        failures += 1


def load(path):
    """Name to (shape, floats) of a safetensors file's float32 tensors."""
    with open(path, "rb") as file:
        data = file.read()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = entry["shape"], array.array("f", data[8 + size + begin:8 + size + end])
    return tensors


def trace(*args):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.safetensors")
        device = ["--device", DEVICE] if DEVICE else []
        done = subprocess.run([WATCHWORD, "trace", *args, *device, "--out", out], text=True, timeout=200,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done, load(out) if done.returncode == 0 else {}


def compare(got, want, tolerances, what):
    worst = 0
    for name, (shape, data) in got.items():
        there, expected = want[name]
        check(shape == there, f"{what} {name}: shape {shape}, wanted {there}")
        if shape != there:
            continue
        largest = max(map(abs, expected))
        difference = max(abs(a - b) for a, b in zip(data, expected)) / largest
        worst = max(worst, difference / tolerances[name]["rel_tolerance"])
        check(difference <= tolerances[name]["rel_tolerance"], f"{what} {name}: {difference:.1e}")
    print(f"{what}: {len(got)} stages, the worst takes {worst:.2f} of its tolerance")


def check_variant(variant):
    folder = os.path.join(HERE, variant)
    want = load(os.path.join(folder, "stages.safetensors"))
    with open(os.path.join(folder, "stages.json")) as file:
        tolerances = json.load(file)
    case = os.path.join(folder, "case.json")
    done, got = trace(os.path.join(folder, "model"), "--case", case)
    check(done.returncode == 0 and not done.stderr, done.stderr)
    check(set(got) == {n for n in want if not n.startswith("greedy.")}, f"{variant}: names {sorted(got)}")
    compare(got, want, tolerances, variant)
    with open(case) as file:
        ids = json.load(file)["prompt_ids"]
    done, part = trace(os.path.join(folder, "model"), "--ids", ",".join(map(str, ids)), "--stages", "layer.0.*")
    check(part == {n: t for n, t in got.items() if n.startswith("layer.0.")}, f"{variant}: --ids and --stages")
    done, one = trace(os.path.join(folder, "model"), "--ids", str(ids[0]), "--stages", "logits")
    vocabulary = want["logits"][0][1]
    check(one and one["logits"][0] == [1, vocabulary], f"{variant}: one token {done.stderr}")
    if one:
        first = want["logits"][1][:vocabulary]
        check(max(abs(a - b) for a, b in zip(one["logits"][1], first)) < 1e-3, f"{variant}: its logits")


for variant in ["mha", "gqa", "wide"]:
    check_variant(variant)
model = os.path.join(HERE, "mha", "model")
for args, status, told in [((model, "--ids", "1,,2"), 2, "--ids at ',2'"),
                           ((model, "--ids", "1,x"), 2, "--ids at 'x'"),
                           ((model, "--ids", "99999"), 1, "token 99999"),
                           ((model, "--ids", ",".join(["1"] * 300)), 2, "at most 256"),
                           ((os.path.join(HERE, "none"), "--ids", "1"), 1, "none")]:
    done, _ = trace(*args)
    check(done.returncode == status and told in done.stderr, f"{args[1:]}: {done.returncode} {done.stderr}")
sys.exit(failures > 0)
