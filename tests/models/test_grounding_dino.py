"""Grounding DINO from picture and words to boxes: every stage of four golden cases through the command, in
both layouts of the weights; as a card computes them; what halves make of them; a batch that is what its pictures
are alone; phrases in several texts; sizes and words of every kind; and checkpoints that are wrong.

    test_grounding_dino.py WATCHWORD DEVICE
"""
import json, os, shutil, struct, subprocess, sys, tempfile
import numpy as np
import detectors
from detectors import check, failures, load, spoil, turned

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "grounding-dino")
CASES = {"a-single": 45, "b-batch": 30, "c-categories": 18, "d-panorama": 18}  # and the stages there are


def trace(watchword, device, model, *options):
    return detectors.trace(watchword, device, model, "--task", "ground", *options)


def run(watchword, device, model, phrases, *options):
    return detectors.run(watchword, device, model, os.path.join(HERE, "a-single", "image0.ppm"), "--task", "ground",
                         "--phrases", phrases, *options)


def compare(watchword, device, model, case, layout):
    folder = os.path.join(HERE, case)
    want, worst, seen = load(os.path.join(folder, "stages.safetensors")), (0, ""), 0
    size = []
    if layout == "original" and case == "d-panorama":  # whose golden picture has the library's size, two pixels wider
        size = ["--input", "%dx%d" % tuple(want["pre.valid_size"][0][::-1])]
    got, said = trace(watchword, device, model, "--case", os.path.join(folder, "case.json"), *size)
    check(got is not None, said)
    if got is None:
        return
    stages = json.load(open(os.path.join(folder, "stages.json")))
    names = {stage["name"] for stage in stages}
    for stage in stages:
        name = stage["name"]
        ours = name.replace("original.", "")
        if layout == "original":  # what its boxes do to the decoder is not the library's
            if name.startswith(("dec.", "post")) or "original." + name in names:
                continue
        elif name.startswith("original"):
            continue
        check(ours in got and got[ours].shape == want[name].shape, f"{layout} {case} has {name}")
        if ours not in got or got[ours].shape != want[name].shape:
            continue
        a, b = got[ours], want[name]
        with np.errstate(invalid="ignore"):  # two infinities are equal
            d = np.where(a != b, np.abs(a - b), 0).max(initial=0)
        share = d / stage.get("tolerance", 1e-9)
        check(share <= 1, f"{layout} {case} {name}: {d:.2e}, tolerance {stage.get('tolerance', 0):.0e}")
        worst, seen = max(worst, (share, name)), seen + 1
    check(seen >= (CASES[case] if layout == "library" else 15), f"{layout} {case}: only {seen} stages")
    print(f"{layout} {case} on {device or 'Vulkan'}: {seen} stages, closest to its own tolerance "
          f"{worst[1]} ({worst[0]:.2f})")


class Environment:
    """Variables that are set within a block."""
    def __init__(self, **variables):
        self.variables = variables

    def __enter__(self):
        os.environ.update(self.variables)

    def __exit__(self, *_):
        for name in self.variables:
            del os.environ[name]


def halves(watchword, device, case, card=False):
    """Activations and weights stored as halves, against the golden stages; as a card also sums of 16 products
    are. Features drift by two thousandths of their size, as a card by three; the same tokens are chosen as
    queries. What becomes of a query is judged by the middle one: the decoder of a model that nobody trained
    sends some that lie near an edge elsewhere for less than that."""
    folder = os.path.join(HERE, case)
    with Environment(WATCHWORD_PRECISION="half", **({"WATCHWORD_KERNELS": "card"} if card else {})):
        got, said = trace(watchword, device, os.path.join(HERE, "model"), "--case",
                          os.path.join(folder, "case.json"))
    limit, box_limit, score_limit = (5e-3, 0.02, 0.05) if card else (4e-3, 0.01, 0.04)
    case += " as a card" if card else ""
    check(got is not None, said)
    if got is None:
        return
    want, worst = load(os.path.join(folder, "stages.safetensors")), 0
    for name in want:
        if name.startswith(("swin.", "enc.", "level", "select.memory")) and "original" not in name and name in got:
            a, b = got[name].astype(float), want[name].astype(float)
            drift = np.sqrt(((a - b) ** 2).mean() / max((b ** 2).mean(), 1e-12))
            check(drift < limit, f"halves {case} {name}: {drift:.1e} of its size")
            worst = max(worst, drift)
    check(worst > 1e-5, f"halves {case}: nothing was stored as halves")
    boxes, scores = [], []
    for n, chosen in enumerate(want["select.topk"]):
        place = {int(token): i for i, token in enumerate(got["select.topk"][n])}
        pairs = [(i, place[int(token)]) for i, token in enumerate(chosen) if int(token) in place]
        check(len(pairs) >= 0.9 * len(chosen), f"halves {case}: {len(pairs)} of {len(chosen)} queries")
        i, k = np.array(pairs).T
        score = [1 / (1 + np.exp(-np.clip(s["out.logits"][n].astype(float), -99, 99))) for s in (want, got)]
        boxes += list(np.abs(want["out.boxes"][n][i] - got["out.boxes"][n][k]).max(1))
        scores += list(np.abs(score[0][i] - score[1][k]).max(1))
    check(np.median(boxes) < box_limit, f"halves {case}: boxes differ by {np.median(boxes):.4f}")
    check(np.median(scores) < score_limit, f"halves {case}: scores differ by {np.median(scores):.4f}")
    print(f"halves {case}: features drift by {worst:.1e}; the middle query's box by {np.median(boxes):.4f} of the "
          f"picture, its score by {np.median(scores):.4f}")


def batch_is_alone(watchword, device):
    """Two pictures of a size, asked different things: bit by bit, alone and together."""
    model = os.path.join(HERE, "model")
    first = os.path.join(HERE, "b-batch", "image0.ppm")
    texts = ("a cup of coffee. silver spoon.", "astronaut. a flag without an end")
    with tempfile.TemporaryDirectory() as folder:
        second = os.path.join(folder, "second.ppm")
        turned(first, second)
        both, said = trace(watchword, device, model, "--image", first, "--image", second, "--text", texts[0],
                           "--text", texts[1])
        check(both is not None, said)
        alone = [trace(watchword, device, model, "--image", p, "--text", t)[0]
                 for p, t in zip((first, second), texts)]
    for name in ("out.logits", "out.boxes", "select.topk"):
        for b in range(2):
            check(np.array_equal(both[name][b], alone[b][name][0]), f"{name} of picture {b}")
    check(not np.array_equal(alone[0]["out.boxes"], alone[1]["out.boxes"]), "the pictures differ")


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def words(watchword, device):
    """From phrases to messages, in one text or in several."""
    model = os.path.join(HERE, "model")
    seen, said = run(watchword, device, model, "a cat; a remote control", "--threshold", "0.35")
    check(len(seen) == 1, said)
    one = seen[0]
    check(one["kind"] == "grounding" and one["revision"] == 1 and "captions" not in one, "a message")
    check(len(one["objects"]) == 10, "ten objects, as in the golden case")
    for o in one["objects"]:
        check(o["label"] == ("a cat", "a remote control")[o["phrase"]], f"label {o}")
        check(o["score"] > 0.35 and o["words"], f"score and words {o}")
    check(one["objects"] == sorted(one["objects"], key=lambda o: -o["score"]), "best first")
    schema = os.path.join(HERE, "..", "..", "..", "docs", "schema", "grounding.json")
    try:
        import jsonschema
        jsonschema.validate(one, json.load(open(schema)))
    except ImportError:
        print("python3-jsonschema is not installed: no message was held against its schema")
    dotted, _ = run(watchword, device, model, "a cat. a remote control.", "--threshold", "0.35")
    check(dotted[0]["objects"] == one["objects"], "a text with dots is a list")
    whole, said = run(watchword, device, model + ":whole", "a cat; a remote control", "--threshold", "0.2")
    check(whole and {o["phrase"] for o in whole[0]["objects"]} == {0, 1}, f"whole phrases {said}")
    check([m[0]["model"]["name"] for m in (one and [one], whole)] == ["model", "model:whole"], "which of both it was")
    check(one["model"]["digest"] == whole[0]["model"]["digest"], "the same weights")

    # A threshold behind a phrase is that phrase's; boxes that are one.
    low, said = run(watchword, device, model, "a cat; a remote control", "--threshold", "0.05")
    own, said = run(watchword, device, model, "a cat:0.4; a remote control", "--threshold", "0.05")
    check(own and own[0]["objects"] == [o for o in low[0]["objects"] if o["phrase"] == 1 or o["score"] > 0.4] or
          len(low[0]["objects"]) == 100, f"a threshold of its own: {said}")
    check({o["label"] for o in own[0]["objects"]} == {"a cat", "a remote control"}, "labels without thresholds")
    fewer, said = run(watchword, device, model, "a cat; a remote control", "--threshold", "0.05", "--nms", "0.5")
    kept = fewer[0]["objects"]
    check(0 < len(kept) < len(low[0]["objects"]), f"boxes that are one: {said}")
    width, height = fewer[0]["frame"]["width"], fewer[0]["frame"]["height"]
    kept = [o for o in kept if min(o["box"]) > 0 and o["box"][2] < width and o["box"][3] < height]  # not cut
    check(all(iou(a["box"], b["box"]) < 0.501 for i, a in enumerate(kept) for b in kept[:i]
              if a["phrase"] == b["phrase"]), "none is left that a better one covers")
    seen, said = run(watchword, device, model, "a cat:1.4")
    check(not seen and "--phrases" in said and "1.4" in said, f"a threshold that is none: {said}")

    # 90 phrases are two texts: what the second finds is what it finds alone.
    many = [f"cat {chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(90)]
    seen, said = run(watchword, device, model, "; ".join(many), "--threshold", "0.2")
    check(len(seen) == 1 and seen[0].get("captions", 0) > 1, f"several texts: {said}")
    labels = [o["phrase"] for o in seen[0]["objects"]]
    check(all(seen[0]["objects"][i]["label"] == many[p] for i, p in enumerate(labels)), "labels")
    check(max(labels) > 60 > min(labels), f"both texts find something: {sorted(set(labels))}")

    # What the second text finds is what it finds alone, also in halves.
    for precision in ("float", "half") if device != "reference" else ("float",):
        with Environment(WATCHWORD_PRECISION=precision):
            one, joint, alone = (run(watchword, device, model, "; ".join(part), "--threshold", "0.2")[0][0]
                                 for part in (many[:64], many[:76], many[64:76]))
        check("captions" not in one and joint.get("captions") == 2, "the second text begins with phrase 64")
        found = [(o["phrase"] - 64, o["score"], o["box"]) for o in joint["objects"] if o["phrase"] >= 64]
        check(len(found) > 10 and found == [(o["phrase"], o["score"], o["box"]) for o in alone["objects"]],
              f"{precision}: {found} of the second text, {alone['objects']} alone")

    for phrases, told in (("", "no phrase is given"), ("...", "no words"), ("\x01\x02", "no words"),
                          ("." * 100000, "no words"), ("a" * 100000, "can read none"), ("cat " * 25000, "tokens"),
                          ("a." * 2000, "more than 1000 phrases")):
        seen, said = run(watchword, device, model, phrases)
        check(not seen and told in said, f"{phrases[:20]!r}: {said.strip()[:200] or 'no error'}")
        check(len(said) < 1000 and said.count("\n") == 1, f"{phrases[:20]!r}: one sentence, not {len(said)} bytes")
    seen, said = run(watchword, device, model, "a cat:0.5. a dog:0.3.")
    check(not seen and "thresholds stand behind phrases" in said, f"dots and thresholds: {said}")
    seen, said = run(watchword, device, model, "; ".join(f"word {i}" for i in range(300)))
    check(len(seen) == 1 and seen[0]["captions"] > 1, f"300 phrases: {said}")


def wrong_ones(watchword, device):
    def rename(name):
        return lambda e, c, d: e.update({"other": e.pop(name)})

    def reshape(name, shape):
        return lambda e, c, d: e[name].update(shape=shape)

    def configure(**fields):
        return lambda e, c, d: c.update(fields)

    def within(part, **fields):
        return lambda e, c, d: c[part].update(fields)

    def poison(name, number):
        def change(entries, config, data):
            struct.pack_into("<f", data, entries[name]["data_offsets"][0] + 20, number)
        return change

    layer = "model.encoder.layers.1."
    cases = [
        (rename("model.text_projection.weight"), "not the weights of a Grounding DINO"),
        (rename(layer + "fusion_layer.vision_param"), "vision_param"),
        (rename(layer + "fusion_layer.attn.out_text_proj.bias"), "out_text_proj.bias"),
        (rename(layer + "text_enhancer_layer.self_attn.key.weight"), "self_attn.key.weight"),
        (rename("model.decoder.layers.2.encoder_attn_text.value.bias"), "encoder_attn_text.value.bias"),
        (rename("bbox_embed.0.layers.1.weight"), "bbox_embed.0.layers.1.weight"),
        (rename("model.text_backbone.encoder.layer.1.output.dense.weight"), "output.dense.weight"),
        (reshape("model.query_position_embeddings.weight", [64, 50]), "query_position_embeddings"),
        (reshape(layer + "fusion_layer.attn.text_proj.weight", [64, 48]), "text_proj.weight"),
        (poison(layer + "fusion_layer.attn.text_proj.weight", float("nan")), "text_proj.weight': element 5"),
        (poison("model.level_embed", float("inf")), "model.level_embed': element 5"),
        (configure(d_model=72), "d_model"),
        (configure(encoder_attention_heads=5), "encoder_attention_heads"),
        (configure(decoder_layers="three"), "decoder_layers"),
        (configure(activation_function="gelu"), "activation_function"),
        (configure(two_stage=False), "two_stage"),
        (configure(decoder_bbox_embed_share=False), "decoder_bbox_embed_share"),
        (configure(max_text_len=100000), "max_text_len"),
        (within("text_config", hidden_size=50), "text_config"),
        (within("text_config", model_type="roberta"), "'model_type' is 'roberta'"),
        (within("backbone_config", model_type="resnet"), "'model_type' is 'resnet'"),
        (within("text_config", vocab_size=1000), "word_embeddings"),
        (configure(text_encoder="../../elsewhere"), "'text_encoder' is '../../elsewhere'"),
        (configure(text_encoder=".."), "'text_encoder' is '..'"),
        (configure(text_encoder=""), "'text_encoder' is ''"),
        (configure(text_encoder="a\\b"), "'text_encoder' is 'a\\b'"),
        (within("backbone_config", out_indices=[1, 2, 3]), "backbone_config"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for change, told in cases:
            spoilt = spoil(os.path.join(HERE, "model"), folder, change)
            got, said = trace(watchword, device, spoilt, "--text", "a cat.", "--image",
                              os.path.join(HERE, "a-single", "image0.ppm"))
            check(got is None and told in said, f"an error about {told}: {said.strip() or 'none'}")
            verified = subprocess.run([watchword, "models", "verify", spoilt], stderr=subprocess.PIPE, text=True,
                                      stdout=subprocess.DEVNULL)
            check(verified.returncode == 1 and told in verified.stderr,
                  f"not sound, for {told}: {verified.returncode} {verified.stderr.strip()}")


def no_numbers(watchword, device):
    """Weights that make no numbers of a picture: an error, not a picture with nothing in it."""
    with tempfile.TemporaryDirectory() as folder:
        spoilt = spoil(os.path.join(HERE, "model"), folder, detectors.huge("model.decoder.layer_norm.weight"))
        seen, said = run(watchword, device, spoilt, "a cat")
        check(not seen and "no numbers" in said, f"{len(seen)} results, {said}")


def checks(watchword):
    """What a daemon's configuration asks for is held against the vocabulary, too."""
    daemon = os.path.join(os.path.dirname(watchword), "..", "daemon", "watchwordd")
    if not os.path.exists(daemon):
        return
    with tempfile.TemporaryDirectory() as folder:
        for variant, phrases, told in (("", ["a cat", "silver spoon. a flag"], None), (":whole", ["a cat"], None),
                                       (":half", ["a cat"], "no variant 'half'"), ("", ["..."], "no words"),
                                       ("", ["\u043a\u043e\u0442"], "can read none"), ("", ["a " * 254], "tokens"),
                                       ("", ["a." * 400] * 3, "more than 1000 phrases"), ("", [], "no phrase")):
            path, model = os.path.join(folder, "watchword.json"), os.path.join(HERE, "model") + variant
            watch = {"task": "ground", "model": model, "phrases": phrases}
            json.dump({"streams": {"gate": {"url": "test:ball", "watches": [watch]}}}, open(path, "w"))
            done = subprocess.run([daemon, "--check-config", "--config", path], stderr=subprocess.PIPE, text=True,
                                  stdout=subprocess.DEVNULL)
            check(done.returncode == (1 if told else 0) and (told or "") in done.stderr,
                  f"{phrases[:1]} of model{variant}: {done.returncode} {done.stderr.strip()[:200]}")


def wrong_originals(watchword, device):
    """The first release's configuration is Python, of which assignments alone are read."""
    for old, new, told in (
            ('"groundingdino"', '"other"', "no config.json"),
            ("hidden_dim = 64", "hidden_dim = 65", "d_model"),
            ("nheads = 4", "nheads = [4]", "'nheads' must be a number"),
            ("pe_temperatureH = 20", "pe_temperatureH = 10 * 2", "'pe_temperatureH'"),
            ("pe_temperatureW = 20", "pe_temperatureW = 40", "'pe_temperatureW' 40"),
            ("num_queries = 50", "num_queries = 50\nnum_queries = 51", "[51, 64]"),  # the last counts
            ("pre_norm = False", "pre_norm = True", "pre_norm"),
            ("use_fusion_layer = True", "use_fusion_layer = False", "use_fusion_layer"),
            ("enc_layers = 2", "enc_layers = 3", "fusion_layers.2"),
            ('text_encoder_type = "bert"', 'text_encoder_type = "../bert"', "text_encoder_type"),
            ('text_encoder_type = "bert"', 'text_encoder_type = ""', "text_encoder_type"),
            ('text_encoder_type = "bert"', 'text_encoder_type = True', "text_encoder_type"),
            ('text_encoder_type = "bert"', 'text_encoder_type = bert', "text_encoder_type"),
            ('text_encoder_type = "bert"', 'text_encoder_type = "none"', "word_embeddings")):
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model")
            shutil.copytree(os.path.join(HERE, "model-original"), model)
            path = os.path.join(model, "GroundingDINO_tiny.py")
            text = open(path).read()
            check(old in text, f"{old} is there")
            open(path, "w").write(text.replace(old, new))
            got, said = trace(watchword, device, model, "--text", "a cat.", "--image",
                              os.path.join(HERE, "a-single", "image0.ppm"))
            check(got is None and told in said, f"an error about {told}: {said.strip() or 'none'}")
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model")
        shutil.copytree(os.path.join(HERE, "model-original"), model)
        shutil.copy(os.path.join(model, "GroundingDINO_tiny.py"), os.path.join(model, "GroundingDINO_other.py"))
        seen, said = run(watchword, device, model, "a cat")
        check(not seen and "there is another configuration" in said, f"two configurations: {said}")


def sizes(watchword, device):
    """From one pixel on: looked at, or refused with a sentence."""
    model = os.path.join(HERE, "model")
    for pixels, enough in (((1, 1), False), (((7, 2)), False), ((333, 17), True), ((61, 73), True)):
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, "p.ppm")
            open(picture, "wb").write(b"P6\n%d %d\n255\n" % pixels + bytes(range(256)) * 80)
            with open(picture, "r+b") as f:
                f.truncate(len(b"P6\n%d %d\n255\n" % pixels) + 3 * pixels[0] * pixels[1])
            got, said = trace(watchword, device, model, "--image", picture, "--text", "a cat.", "--input",
                              "%dx%d" % pixels)
            check((got is not None and np.isfinite(got["out.boxes"]).all()) if enough
                  else got is None and "make it larger" in said, f"{pixels}: {said}")


def main():
    watchword, device = sys.argv[1:]
    for case in CASES:
        compare(watchword, device, os.path.join(HERE, "model"), case, "library")
    for case in CASES:
        compare(watchword, device, os.path.join(HERE, "model-original"), case, "original")
    if device != "reference":  # which always computes with floats
        for case in CASES:
            halves(watchword, device, case)
        with Environment(WATCHWORD_KERNELS="card"):
            compare(watchword, device, os.path.join(HERE, "model"), "a-single", "library")
        for case in ("a-single", "d-panorama"):
            halves(watchword, device, case, card=True)
    batch_is_alone(watchword, device)
    words(watchword, device)
    wrong_ones(watchword, device)
    wrong_originals(watchword, device)
    no_numbers(watchword, device)
    checks(watchword)
    sizes(watchword, device)
    detectors.frames(watchword, device, os.path.join(HERE, "model"), "--task", "ground", "--phrases", "a cat")
    return 1 if failures else 0


sys.exit(main())
