"""Every stage of the nano networks against golden tensors of TensorFlow.js, each inside its tolerance
(a share of the stage's largest value, from stages.json); detections as a set.

    test_nano.py TRACE DEVICE
"""
import json, os, struct, subprocess, sys, tempfile
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nano")


def load(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    kinds = {"F32": np.float32, "I64": np.int64, "I32": np.int32}
    out = {}
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__":
            shape = entry["shape"]
            out[name] = np.frombuffer(raw, kinds[entry["dtype"]], int(np.prod(shape)),
                                      8 + size + entry["data_offsets"][0]).reshape(shape)
    return out


def thin(tensor):
    """At most 8 x 8 x 32 of it, borders included, as the golden tensors are stored."""
    for axis, most in enumerate((8, 8, 32)):
        n = tensor.shape[axis]
        if n > most:
            tensor = np.take(tensor, [j * (n - 1) // (most - 1) for j in range(most)], axis=axis)
    return tensor


def stage_of(got, stage):
    if stage == "head.heat_person":
        return got["head.heat"][..., 0]
    tensor = got[stage]
    if stage == "head.wh":
        return tensor[::2, ::2]
    if stage == "head.center":
        return tensor[..., 0]
    return thin(tensor)


def compare(title, got, want, picture, stages):
    worst, bad, seen = (0, ""), 0, 0
    for name, expected in sorted(want.items()):
        stage = name[len(picture) + 1:]
        if not name.startswith(picture + ".") or stage == "final" or stage.startswith("post."):
            continue
        entry = stages.get(stage) or stages["head.heat"]
        apart = np.abs(stage_of(got, stage).reshape(expected.shape) - expected).max()
        share = apart / entry["max"] if entry["max"] else float(apart > 0)  # zero throughout
        worst = max(worst, (share / entry["tolerance"], stage))
        bad += not share <= entry["tolerance"]
        seen += 1
    print(f"{title}: {seen} stages, {bad} out of tolerance, closest to its own {worst[1]} ({worst[0]:.2f})")
    # Every row of one picture; of the others and of other sizes the heads alone are stored.
    return bad or seen < (50 if f"{picture}.row.000" in want or f"{picture}.row.001" in want else 2)


def compare_final(got, want):
    if want.shape[1] == 3:  # y, x, score as shares of the crop: half a pixel of 256
        return not np.abs(got - want).max() < 0.5 / 256
    a, b = (rows[rows[:, 4] >= 0.1] for rows in (want, got))
    if len(a) != len(b):
        print(f"{len(b)} detections, expected {len(a)}")
        return True
    a, b = (rows[np.lexsort((rows[:, 0], rows[:, 5]))] for rows in (a, b))
    boxes, scores = np.abs(a - b)[:, :4].max(), np.abs(a - b)[:, 4].max()
    print(f"  {len(a)} detections: boxes within {boxes:.1e} px, scores within {scores:.1e}")
    return not (boxes <= 0.5 and scores <= 2e-3)


def main():
    trace, device = sys.argv[1:]
    tables, failed = json.load(open(os.path.join(HERE, "stages.json"))), 0
    frames, person = ("vtest001", "vtest200", "vtest390"), ("astronaut",)
    cases = [("centernet", "nano", "detect", frames),
             ("centernet-512x384", "nano", "detect", frames[1:2]),
             ("centernet-384x288", "nano", "detect", frames[1:2]),
             ("movenet-lightning", "nano:lightning", "pose", frames + person),
             ("movenet-thunder", "nano:thunder", "pose", frames + person)]
    for name, model, task, pictures in cases:
        want = load(os.path.join(HERE, name + ".safetensors"))
        stages = tables[name if name in tables else "centernet"]["stages"]
        for picture in pictures:
            image = os.path.join(HERE, f"{picture}.{name}.png")
            with tempfile.TemporaryDirectory() as folder:
                out = os.path.join(folder, "trace.safetensors")
                subprocess.run([trace, device, model, task, image, out], check=True)
                got = load(out)
            title = f"{picture}, {name} on {device or 'Vulkan'}"
            failed += bool(compare(title, got, want, picture, stages))
            failed += bool(compare_final(got["final"], want[picture + ".final"]))
    return 1 if failed else 0


sys.exit(main())
