"""Deformable DETR: every stage of three small models against the transformers library's, through the
command; a batch that is what its pictures are alone; and checkpoints that are wrong.

    test_deformable_detr.py WATCHWORD DEVICE
"""
import json, os, shutil, struct, subprocess, sys, tempfile
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "deformable-detr")
CASES = [("plain", "a-single"), ("refine", "a-single"), ("two-stage", "b-batch")]
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
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


def trace(watchword, device, model, *options):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "trace.safetensors")
        run = subprocess.run([watchword, "trace", model, "--out", out, *options,
                              *(["--device", device] if device else [])],
                             stderr=subprocess.PIPE, text=True)
        return (load(out) if run.returncode == 0 else None), run.stderr


def real(name, want, shape):
    """Where a padded stage has anything to compare."""
    if name.startswith("level"):
        return np.broadcast_to(want[name.split(".")[0] + ".mask"][:, None] == 1, shape)
    masks = [want[f"level{l}.mask"].reshape(shape[0], -1) for l in range(4)]
    return np.broadcast_to(np.concatenate(masks, 1)[..., None] == 1, shape)


def compare(watchword, device, variant, case):
    folder = os.path.join(HERE, variant, case)
    got, said = trace(watchword, device, os.path.join(HERE, variant, "model"),
                      "--case", os.path.join(folder, "case.json"))
    check(got is not None, said)
    if got is None:
        return
    want, worst, seen = load(os.path.join(folder, "stages.safetensors")), (0, ""), 0
    for stage in json.load(open(os.path.join(folder, "stages.json"))):
        name = stage["name"]
        check(name in got and got[name].shape == want[name].shape, f"{variant}/{case} has {name}")
        if name not in got or got[name].shape != want[name].shape:
            continue
        a, b = got[name], want[name]
        counts = real(name, want, b.shape) if stage.get("valid_only") else np.ones(b.shape, bool)
        with np.errstate(invalid="ignore"):  # two infinities are equal
            d = np.where(counts & (a != b), np.abs(a - b), 0).max(initial=0)
        share = d / stage.get("tolerance", 1e-9)
        check(share <= 1, f"{variant}/{case} {name}: {d:.2e}, tolerance {stage.get('tolerance', 0):.0e}")
        worst, seen = max(worst, (share, name)), seen + 1
    print(f"{variant}/{case} on {device or 'Vulkan'}: {seen} stages, closest to its own tolerance "
          f"{worst[1]} ({worst[0]:.2f})")


def turned(path, to):
    """The same picture upside down: another one of its size."""
    raw = open(path, "rb").read()
    end = raw.index(b"255\n") + 4
    open(to, "wb").write(raw[:end] + np.frombuffer(raw[end:], np.uint8).reshape(-1, 3)[::-1].tobytes())


def batch_is_alone(watchword, device, variant):
    """Two pictures of a size: what is found in each, bit by bit, alone and together."""
    model = os.path.join(HERE, variant, "model")
    first = os.path.join(HERE, "two-stage", "b-batch", "image0.ppm")
    with tempfile.TemporaryDirectory() as folder:
        second = os.path.join(folder, "second.ppm")
        turned(first, second)
        both, _ = trace(watchword, device, model, "--image", first, "--image", second)
        alone = [trace(watchword, device, model, "--image", p)[0] for p in (first, second)]
    for name in ("out.logits", "out.boxes"):
        for b in range(2):
            check(np.array_equal(both[name][b], alone[b][name][0]), f"{variant}: {name} of picture {b}")
    check(not np.array_equal(alone[0]["out.logits"], alone[1]["out.logits"]), "the pictures differ")


def picture_of(folder, width, height):
    """A picture of that size, no two rows of which are alike."""
    path = os.path.join(folder, "p.ppm")
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([7 * x + y, x * y % 251, 3 * y - x], 2) % 256
    open(path, "wb").write(b"P6\n%d %d\n255\n" % (width, height) + pixels.astype(np.uint8).tobytes())
    return path


def spoil(folder, change):
    """A copy of a model whose weights' header or numbers, or configuration, are changed."""
    model = os.path.join(folder, "model")
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(os.path.join(HERE, "two-stage", "model"), model)
    weights, config = os.path.join(model, "model.safetensors"), os.path.join(model, "config.json")
    entries, data = header(weights)
    fields, data = json.load(open(config)), bytearray(data)
    change(entries, fields, data)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    open(weights, "wb").write(struct.pack("<Q", len(text)) + text + data)
    json.dump(fields, open(config, "w"))
    return model


def wrong_ones(watchword, device):
    def rename(name):
        return lambda e, c, d: e.update({"other": e.pop(name)})

    def reshape(name, shape):
        return lambda e, c, d: e[name].update(shape=shape)

    def configure(**fields):
        return lambda e, c, d: c.update(fields)

    def poison(name, number):
        def change(entries, config, data):
            struct.pack_into("<f", data, entries[name]["data_offsets"][0] + 20, number)
        return change

    stem = "model.backbone.conv_encoder.model."
    cases = [
        (rename(stem + "conv1.weight"), stem + "conv1.weight"),
        (rename(stem + "layer3.1.conv2.weight"), "layer3.1.conv2.weight"),
        (rename(stem + "layer2.0.bn1.running_var"), "layer2.0.bn1.running_var"),
        (rename("model.decoder.layers.1.encoder_attn.sampling_offsets.bias"), "sampling_offsets.bias"),
        (rename("bbox_embed.3.layers.2.weight"), "bbox_embed.3.layers.2.weight"),
        (reshape("model.level_embed", [64, 4]), "model.level_embed"),
        (reshape("model.input_proj.3.0.weight", [64, 64 * 9 * 3 // 2, 1, 1]), "model.input_proj.3.0.weight"),
        (poison(stem + "layer3.0.conv2.weight", float("nan")), "layer3.0.conv2.weight': element 5"),
        (poison("model.enc_output.weight", float("-inf")), "model.enc_output.weight': element 5"),
        (configure(encoder_attention_heads=5), "encoder_attention_heads"),
        (configure(d_model="64"), "d_model"),
        (configure(decoder_layers=99), "decoder_layers"),
        (configure(activation_function="gelu"), "activation_function"),
        (configure(with_box_refine=False), "with_box_refine"),
        (configure(num_feature_levels=5), "num_feature_levels"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for change, told in cases:
            got, said = trace(watchword, device, spoil(folder, change), "--image",
                              os.path.join(HERE, "two-stage", "b-batch", "image0.ppm"))
            check(got is None and told in said, f"an error about {told}: {said.strip() or 'none'}")


def sizes(watchword, device):
    """From one pixel on: looked at, or refused with a sentence."""
    for pixels in ((1, 1), (1, 3), (7, 2), (33, 17), (300, 5)):
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, "p.ppm")
            open(picture, "wb").write(b"P6\n%d %d\n255\n" % pixels + bytes(range(256)) * 20)
            with open(picture, "r+b") as f:
                f.truncate(len(b"P6\n%d %d\n255\n" % pixels) + 3 * pixels[0] * pixels[1])
            got, said = trace(watchword, device, os.path.join(HERE, "plain", "model"), "--image", picture,
                              "--input", "%dx%d" % pixels)
            check(got is not None and np.isfinite(got["out.logits"]).all(), f"{pixels}: {said}")
    got, said = trace(watchword, device, os.path.join(HERE, "two-stage", "model"), "--input", "32x32",
                      "--image", os.path.join(HERE, "two-stage", "b-batch", "image0.ppm"))
    check(got is None and "make it larger" in said, "too few places to choose from")


def frames(watchword, device, variant, thin):
    """Frames from one pixel to 4K, thin ones and those that nobody has: a result, or a sentence."""
    sizes = (((1, 1), None), ((1, 4000), thin), ((4000, 1), thin), ((3, 2), None), ((17, 5000), thin), ((3840, 2160), None),
             ((20000, 1), "16384"), ((1, 20000), "16384"))
    with tempfile.TemporaryDirectory() as folder:
        for (w, h), told in sizes:
            done = subprocess.run(
                [watchword, "run", "--model", os.path.join(HERE, variant, "model"), "--threshold", "0.05",
                 *(["--device", device] if device else []), picture_of(folder, w, h)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            seen, said = [json.loads(line) for line in done.stdout.splitlines()], done.stderr
            if told:
                check(not seen and told in said, f"{w}x{h}: refused with {told!r}: {said or seen}")
                continue
            check(len(seen) == 1 and (seen[0]["frame"]["width"], seen[0]["frame"]["height"]) == (w, h),
                  f"{w}x{h}: {said}")
            for o in seen[0]["objects"] if seen else []:
                x0, y0, x1, y1 = o["box"]
                check(0 <= x0 <= x1 <= w and 0 <= y0 <= y1 <= h and 0 < o["score"] <= 1, f"{w}x{h}: {o}")


def main():
    watchword, device = sys.argv[1:]
    for variant, case in CASES:
        compare(watchword, device, variant, case)
    for variant in ("plain", "two-stage"):
        batch_is_alone(watchword, device, variant)
    wrong_ones(watchword, device)
    sizes(watchword, device)
    frames(watchword, device, "plain", None)
    frames(watchword, device, "two-stage", "make it larger")
    return 1 if failures else 0


sys.exit(main())
