"""The layers of CenterNet with their weights, for whoever wants to write them in another format.

centernet.tsv has a fused operation a row: `inputs` are rows; conv kernels are k x k; `pad` is what is
added before and after, rows and columns alike; the activation comes last. `up2_legacy` doubles
bilinearly with source = i / 2; `x16` is times 16; `scale` multiplies by a value per channel.
"""
import csv
import json
import os
import struct

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = 512  # of the input, px


class Row:
    def __init__(self, cells, weights):
        self.name = "row" + cells["row"]
        self.op, self.act = cells["op"], cells["activation"]
        self.inputs = ["row" + n for n in cells["inputs"].split(",") if n]
        self.channels = int(cells["channels"])
        self.kernel, self.stride = int(cells["kernel"] or 1), int(cells["stride"] or 1)
        self.pad = tuple(map(int, cells["pad"].split(","))) if cells["pad"] else (0, 0)
        self.weight = self.bias = None
        if cells["weight"]:
            w = weights[cells["weight"]].astype(np.float32)
            # From k, k, in, out (depthwise: k, k, channels, 1) to out, in / groups, k, k.
            self.weight = w.transpose((2, 3, 0, 1) if self.op == "dwconv" else (3, 2, 0, 1)).copy()
            self.bias = (weights[cells["bias"]].astype(np.float32).ravel() if cells["bias"]
                         else np.zeros(self.channels, np.float32))
            if self.act == "x16":
                self.weight, self.bias, self.act = self.weight * 16, self.bias * 16, "none"


def read_safetensors(path):
    kinds = {"F16": np.float16, "F32": np.float32}
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], kinds[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items()}


def rows(model):
    """Every row after the input, in an order in which inputs come first."""
    weights = read_safetensors(model)
    with open(os.path.join(HERE, "centernet.tsv")) as f:
        cells = csv.DictReader((line for line in f if not line.startswith("#")), delimiter="\t")
        return [Row(c, weights) for c in cells if c["op"] != "input"]


INPUT, HEAT, DISTANCES = "row0", "row125", "row126"
