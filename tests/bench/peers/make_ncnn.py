"""Writes CenterNet for ncnn: make_ncnn.py centernet.safetensors OUT   (OUT.param and OUT.bin)

ncnn's bilinear Interp has no "source = i / 2", but with aligned corners n + 1 cells become 2n + 1
at exactly that: so the last row and column are repeated once, and cut off afterwards.
"""
import collections
import sys

import network

SIXTH = "0=0.16666667 1=0.5"
# Fused into convolutions: 9=type, and -23310 the list of its parameters.
FUSED = {"none": "", "": "", "relu": "9=1", "sigmoid": "9=4", "hswish": "9=6 -23310=2,0.16666667,0.5"}


class Writer:
    def __init__(self, file):
        self.file, self.lines, self.blobs = file, [], 0

    def layer(self, kind, name, inputs, outputs, parameters=""):
        self.blobs += len(outputs)
        self.lines.append(f"{kind:24} {name:20} {len(inputs)} {len(outputs)} "
                          f"{' '.join(inputs + outputs)} {parameters}")


def convolution(w, row, inputs, out):
    before, after = row.pad
    parameters = (f"0={row.channels} 1={row.kernel} 3={row.stride} 4={before} 15={after} 14={before} "
                  f"16={after} 5=1 6={row.weight.size}")
    kind = "Convolution"
    if row.op == "dwconv":
        kind, parameters = "ConvolutionDepthWise", parameters + f" 7={row.channels}"
    fused = FUSED.get(row.act)
    w.file.write(bytes(4) + row.weight.tobytes() + row.bias.tobytes())  # 0: plain float32
    if fused is not None:
        w.layer(kind, row.name, inputs, [out], f"{parameters} {fused}")
    else:
        w.layer(kind, row.name, inputs, [out + ".sum"], parameters)
        w.layer("HardSigmoid", row.name + ".act", [out + ".sum"], [out], SIXTH)


def upsample(w, row, inputs, out, size):
    edged, doubled = out + ".edged", out + ".doubled"
    w.layer("Padding", row.name + ".pad", inputs, [edged], "0=0 1=1 2=0 3=1 4=1")
    w.layer("Interp", row.name, [edged], [doubled], f"0=2 3={2 * size + 1} 4={2 * size + 1} 6=1")
    w.layer("Crop", row.name + ".crop", [doubled], [out], f"0=0 1=0 2=0 3={2 * size} 4={2 * size} 5=-233")


def operation(w, row, inputs, out, sizes):
    size = sizes[row.inputs[0]]
    if row.op in ("conv", "dwconv"):
        convolution(w, row, inputs, out)
    elif row.op == "mean":
        w.layer("Pooling", row.name, inputs, [out + ".flat"], "0=1 4=1")
        w.layer("Reshape", row.name + ".shape", [out + ".flat"], [out], f"0=1 1=1 2={row.channels}")
    elif row.op == "up2_legacy":
        upsample(w, row, inputs, out, size)
    elif row.op == "concat":
        w.layer("Concat", row.name, inputs, [out + ".both"], "0=0")
        w.layer("ReLU", row.name + ".relu", [out + ".both"], [out])
    else:
        w.layer("BinaryOp", row.name, inputs, [out], "0=0" if row.op == "add" else "0=2")
    sizes[row.name] = {"mean": 1, "up2_legacy": 2 * size}.get(row.op, -(-size // row.stride))


def write(rows, out):
    """ncnn wants a blob to have one reader, so what has several goes through Split."""
    readers = collections.Counter(i for row in rows for i in row.inputs)
    taken, sizes = collections.Counter(), {network.INPUT: network.SIZE}
    with open(out + ".bin", "wb") as file:
        w = Writer(file)
        w.layer("Input", "input", [], [network.INPUT])

        def split(name):
            if readers[name] > 1:
                w.layer("Split", name + ".split", [name],
                        [f"{name}.{i}" for i in range(readers[name])])

        def take(name):
            if readers[name] == 1:
                return name
            taken[name] += 1
            return f"{name}.{taken[name] - 1}"
        split(network.INPUT)
        for row in rows:
            operation(w, row, [take(i) for i in row.inputs], row.name, sizes)
            split(row.name)
    with open(out + ".param", "w") as f:
        f.write(f"7767517\n{len(w.lines)} {w.blobs}\n" + "\n".join(w.lines) + "\n")


if __name__ == "__main__":
    write(network.rows(sys.argv[1]), sys.argv[2])
