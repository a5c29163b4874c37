"""Writes CenterNet as an ONNX model: make_onnx.py centernet.safetensors OUT.onnx"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import network

SIMPLE = {"add": "Add", "scale": "Mul"}
ACTIVATIONS = {"relu": ("Relu", {}), "sigmoid": ("Sigmoid", {}), "hswish": ("HardSwish", {}),
               "hsigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5})}


def operation(row, constants):
    """The row's own operation, before its activation: operator, inputs, attributes."""
    if row.op in ("conv", "dwconv"):
        constants[row.name + ".w"], constants[row.name + ".b"] = row.weight, row.bias
        before, after = row.pad
        return "Conv", row.inputs + [row.name + ".w", row.name + ".b"], {
            "kernel_shape": [row.kernel] * 2, "strides": [row.stride] * 2,
            "pads": [before, before, after, after],
            "group": row.channels if row.op == "dwconv" else 1}
    if row.op == "mean":
        return "GlobalAveragePool", row.inputs, {}
    if row.op == "concat":
        return "Concat", row.inputs, {"axis": 1}
    if row.op == "up2_legacy":
        constants["twice"] = np.array([1, 1, 2, 2], np.float32)
        return "Resize", row.inputs + ["", "twice"], {
            "mode": "linear", "coordinate_transformation_mode": "asymmetric"}
    return SIMPLE[row.op], row.inputs, {}


def build(rows):
    nodes, constants = [], {}
    for row in rows:
        op, inputs, attributes = operation(row, constants)
        activation = ACTIVATIONS.get(row.act)
        out = row.name + ".sum" if activation else row.name
        nodes.append(helper.make_node(op, inputs, [out], name=row.name + "." + op, **attributes))
        if activation:
            nodes.append(helper.make_node(activation[0], [out], [row.name],
                                          name=row.name + "." + activation[0], **activation[1]))
    map_size = network.SIZE // 4

    def value(name, channels, size):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, size, size])
    graph = helper.make_graph(
        nodes, "centernet", [value(network.INPUT, 3, network.SIZE)],
        [value(network.HEAT, 80, map_size), value(network.DISTANCES, 4, map_size)],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    onnx.save(build(network.rows(sys.argv[1])), sys.argv[2])
