"""Runs the peers that `peers` installed; see there.

Every round gives each engine a few runs, one engine after the other, while the rest wait: what the
machine does to one, it does to all. An engine's figure is the median over rounds of a round's median.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import numpy as np

import network

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WATCHWORD, ONE_CLASS, VULKAN = "watchword", "watchword, one class", "ncnn-vulkan"


class Worker:
    """A peer that waits for its turn."""

    def __init__(self, name, command, runs):
        self.name, self.runs = name, runs
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.version = self.answer()["ready"]

    def answer(self):
        for line in self.process.stdout:
            if line[0] in "[{t":  # others' libraries talk on standard output, too
                try:
                    return json.loads(line)
                except ValueError:
                    pass
        sys.exit(f"peers: {self.name} ended by itself")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def round(self):
        times = self.ask(f"run {self.runs}")
        return statistics.median(times), min(times)

    def heat(self, path):
        self.ask("heat " + path)
        return np.fromfile(path, np.float32).reshape(-1, 80)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Product:
    """The whole look from a camera's picture, which is larger: colours, resizing, the network, peaks. A process
    a round: it loads in a moment, for the driver keeps its compiled shaders."""

    def __init__(self, build, runs, device, name):
        self.name, self.runs, self.program = name, runs, os.path.join(build, "cli/watchword")
        self.device = ["--device", device]
        self.round()  # compiles shaders, if nobody did
        self.version = subprocess.run([self.program, "--version"], text=True,
                                      stdout=subprocess.PIPE).stdout.strip()

    def round(self):
        done = subprocess.run([self.program, "bench", "nano", "--size", f"{network.SIZE}x{network.SIZE}",
                               "--runs", str(self.runs), "--json", *self.device],
                              stdout=subprocess.PIPE, check=True)
        result = json.loads(done.stdout)
        return result["median_ms"], result["min_ms"]

    def stop(self):
        pass


def machine():
    with open("/proc/cpuinfo") as f:
        cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")),
                   platform.machine())
    return f"{cpu}, 2 cores"


def start(options):
    python = [sys.executable, os.path.join(HERE, "worker.py")]
    folder, picture = options.cache, os.path.join(options.cache, "input.bin")
    engines = [Worker("ONNX Runtime", python + ["onnxruntime", folder, picture], 10),
               Worker("ncnn", python + ["ncnn", folder, picture], 10),
               Worker("TensorFlow.js wasm", ["node", os.path.join(HERE, "worker.mjs"), folder, picture],
                      4),
               Worker("ncnn Vulkan, lavapipe", python + [VULKAN, folder, picture], 2)]
    bench = os.path.join(options.build, "tests/bench/bench-centernet")
    if os.path.exists(bench):
        command = [bench, os.path.join(TOP, "models/nano/centernet.safetensors"), str(network.SIZE), picture]
        engines += [Worker(WATCHWORD, command + ["80"], 10), Worker(ONE_CLASS, command + ["1"], 10),
                    Product(options.build, 10, options.device, "watchword, from camera's picture to peaks")]
    else:
        print(f"peers: {bench} was not built: the others alone", file=sys.stderr)
    return engines


def compare(engines, cache):
    """The largest difference of class scores from ONNX Runtime's: do all run the same network?"""
    heats = {e.name: e.heat(os.path.join(cache, f"heat{i}")) for i, e in enumerate(engines)
             if isinstance(e, Worker) and e.name != ONE_CLASS}
    first = heats[engines[0].name]
    return {name: float(np.abs(heat - first).max()) for name, heat in heats.items()}


def measure(engines, rounds):
    times = {e.name: [] for e in engines}
    for number in range(rounds):
        for engine in engines:
            print(f"\rround {number + 1} of {rounds}: {engine.name:24}", end="", file=sys.stderr)
            time.sleep(0.3)  # threads of the one before may still spin
            times[engine.name].append(engine.round())
    print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--device", default="llvmpipe", help="watchword's")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="OUT")
    options = parser.parse_args()
    os.environ["WATCHWORD_DEVICE"] = options.device
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])  # children inherit it

    engines = start(options)
    differences = compare(engines, options.cache)
    times = measure(engines, options.rounds)
    table = [{"engine": e.name, "version": e.version,
              "median_ms": statistics.median(m for m, _ in times[e.name]),
              "min_ms": min(least for _, least in times[e.name]),
              "max_score_difference": differences.get(e.name)} for e in engines]
    for engine in engines:
        engine.stop()

    own = {row["engine"]: row["median_ms"] for row in table}
    print(f"CenterNet {network.SIZE}x{network.SIZE}, {machine()}; {options.rounds} interleaved rounds\n")
    print("| engine | version | median ms | min ms | watchword's time / its | one class / its | scores differ by |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for row in table:
        ratio, one = (f"{own[name] / row['median_ms']:.2f}" if name in own else "-"
                      for name in (WATCHWORD, ONE_CLASS))
        differ = row["max_score_difference"]
        print(f"| {row['engine']} | {row['version']} | {row['median_ms']:.1f} | {row['min_ms']:.1f} | "
              f"{ratio} | {one} | {'-' if differ is None else f'{differ:.1e}'} |")
    if options.json:
        with open(options.json, "w") as f:
            json.dump({"size": network.SIZE, "machine": machine(), "rounds": options.rounds,
                       "engines": table}, f, indent=1)
    wrong = [name for name, d in differences.items() if d > 0.02]
    if wrong:
        sys.exit(f"peers: {', '.join(wrong)}: these do not run the same network")


if __name__ == "__main__":
    main()
