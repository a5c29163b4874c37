"""What the tests of detectors share: traces and messages of the command, checkpoints that are spoilt, and frames
of every size."""
import json, os, shutil, struct, subprocess, tempfile
import numpy as np

failures = []


def check(ok, what):
    if not ok:
        failures.append(what)
        print("FAILED:", what)


def header(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + size]), raw[8 + size:]


def load(path):
    kinds = {"F32": np.float32, "I64": np.int64}
    entries, data = header(path)
    return {name: np.frombuffer(data, kinds[e["dtype"]], int(np.prod(e["shape"])),
                                e["data_offsets"][0]).reshape(e["shape"])
            for name, e in entries.items() if name != "__metadata__"}


def on(device):
    return ["--device", device] if device else []


def trace(watchword, device, model, *options):
    """The stages of a look, or None, and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "trace.safetensors")
        run = subprocess.run([watchword, "trace", model, "--out", out, *options, *on(device)],
                             stderr=subprocess.PIPE, text=True)
        return (load(out) if run.returncode == 0 else None), run.stderr


def run(watchword, device, model, picture, *options):
    """The messages of a picture, and what was said."""
    done = subprocess.run([watchword, "run", "--model", model, *options, *on(device), picture],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def turned(path, to):
    """The same picture upside down: another one of its size."""
    raw = open(path, "rb").read()
    end = raw.index(b"255\n") + 4
    open(to, "wb").write(raw[:end] + np.frombuffer(raw[end:], np.uint8).reshape(-1, 3)[::-1].tobytes())


def picture_of(folder, width, height):
    """A picture of that size, no two rows of which are alike."""
    path = os.path.join(folder, "p.ppm")
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([7 * x + y, x * y % 251, 3 * y - x], 2) % 256
    open(path, "wb").write(b"P6\n%d %d\n255\n" % (width, height) + pixels.astype(np.uint8).tobytes())
    return path


def spoil(original, folder, change):
    """A copy of a model whose weights' header or numbers, or configuration, are changed."""
    model = os.path.join(folder, "model")
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(original, model)
    weights, config = os.path.join(model, "model.safetensors"), os.path.join(model, "config.json")
    entries, data = header(weights)
    fields, data = json.load(open(config)), bytearray(data)
    change(entries, fields, data)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    open(weights, "wb").write(struct.pack("<Q", len(text)) + text + data)
    json.dump(fields, open(config, "w"))
    return model


def huge(name):
    """A tensor whose numbers are finite, but whose products are not."""
    def change(entries, config, data):
        begin, end = entries[name]["data_offsets"]
        data[begin:end] = np.full((end - begin) // 4, 3e38, np.float32).tobytes()
    return change


def frames(watchword, device, model, *options, thin=None):
    """Frames from one pixel to 4K, thin ones and those that nobody has: a result, or a sentence. `thin` is part of
    what is said of those whose input has too few places."""
    sizes = (((1, 1), None), ((1, 4000), thin), ((4000, 1), thin), ((3, 2), None), ((17, 5000), thin),
             ((3840, 2160), None), ((20000, 1), "16384"), ((1, 20000), "16384"))
    with tempfile.TemporaryDirectory() as folder:
        for (w, h), told in sizes:
            seen, said = run(watchword, device, model, picture_of(folder, w, h), "--threshold", "0.05", *options)
            if told:
                check(not seen and told in said, f"{w}x{h}: refused with {told!r}: {said or seen}")
                continue
            check(len(seen) == 1 and (seen[0]["frame"]["width"], seen[0]["frame"]["height"]) == (w, h),
                  f"{w}x{h}: {said}")
            for o in seen[0]["objects"] if seen else []:
                x0, y0, x1, y1 = o["box"]
                check(0 <= x0 <= x1 <= w and 0 <= y0 <= y1 <= h and 0 < o["score"] <= 1, f"{w}x{h}: {o}")
