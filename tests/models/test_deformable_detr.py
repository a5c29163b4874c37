"""Deformable DETR: every stage of three small models against the transformers library's, through the
command; a batch that is what its pictures are alone; and checkpoints that are wrong.

    test_deformable_detr.py WATCHWORD DEVICE
"""
import json, os, struct, subprocess, sys, tempfile
import numpy as np
import detectors
from detectors import check, failures, frames, load, on, spoil, trace, turned

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "deformable-detr")
CASES = [("plain", "a-single"), ("plain", "b-batch"), ("refine", "a-single"), ("two-stage", "b-batch")]


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

    def empty(*names):
        """Tensors that have no rows any more."""
        def change(entries, config, data):
            for name in names:
                begin, end = entries[name]["data_offsets"]
                del data[begin:end]
                for e in entries.values():
                    if e.get("data_offsets", [0])[0] >= end:
                        e["data_offsets"] = [at - (end - begin) for at in e["data_offsets"]]
                entries[name].update(shape=[0] + entries[name]["shape"][1:], data_offsets=[begin, begin])
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
        (poison(stem + "layer2.0.bn1.running_var", -1), "layer2.0.bn1.running_var': element 5 is -1"),
        (poison("model.enc_output.weight", float("-inf")), "model.enc_output.weight': element 5"),
        (empty(stem + "conv1.weight", *(stem + "bn1." + part for part in
               ("weight", "bias", "running_mean", "running_var"))), stem + "conv1.weight' is empty"),
        (configure(encoder_attention_heads=5), "encoder_attention_heads"),
        (configure(d_model="64"), "d_model"),
        (configure(decoder_layers=99), "decoder_layers"),
        (configure(activation_function="gelu"), "activation_function"),
        (configure(with_box_refine=False), "with_box_refine"),
        (configure(num_feature_levels=5), "num_feature_levels"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for change, told in cases:
            spoilt = spoil(os.path.join(HERE, "two-stage", "model"), folder, change)
            got, said = trace(watchword, device, spoilt, "--image",
                              os.path.join(HERE, "two-stage", "b-batch", "image0.ppm"))
            check(got is None and told in said, f"an error about {told}: {said.strip() or 'none'}")


def no_numbers(watchword, device):
    """Weights that make no numbers of a picture: an error, not a picture with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        spoilt = spoil(os.path.join(HERE, "plain", "model"), folder,
                       detectors.huge("model.decoder.layers.2.final_layer_norm.weight"))
        seen, said = detectors.run(watchword, device, spoilt, os.path.join(HERE, "plain", "a-single", "image0.ppm"))
        check(not seen and "no numbers" in said, f"{len(seen)} results, {said}")


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


def too_large(watchword, device):
    """A batch that has more numbers than any device can count is refused, not worked on."""
    done = subprocess.run([watchword, "bench", os.path.join(HERE, "plain", "model"), "--size", "4096x4096",
                           "--batch", "64", *on(device)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check(done.returncode == 1 and "fewer at a time" in done.stderr,
          f"4096x4096, 64 of them: {done.returncode}: {done.stderr.strip()}")


def main():
    watchword, device = sys.argv[1:]
    for variant, case in CASES:
        compare(watchword, device, variant, case)
    for variant in ("plain", "two-stage"):
        batch_is_alone(watchword, device, variant)
    wrong_ones(watchword, device)
    no_numbers(watchword, device)
    sizes(watchword, device)
    too_large(watchword, device)
    frames(watchword, device, os.path.join(HERE, "plain", "model"))
    frames(watchword, device, os.path.join(HERE, "two-stage", "model"), thin="make it larger")
    return 1 if failures else 0


sys.exit(main())
