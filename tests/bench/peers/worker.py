"""One peer in a process of its own: worker.py onnxruntime|ncnn|ncnn-vulkan FOLDER INPUT.bin

Takes lines on standard input: "run N" runs N times and answers with their milliseconds as a JSON list;
"heat FILE" runs once and writes the class scores, float32, height x width x 80. Waits in between.
"""
import json
import sys
import time

import numpy as np

import network

THREADS = 2


def onnxruntime_peer(folder, picture):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(folder + "/centernet.onnx", options,
                                           providers=["CPUExecutionProvider"])
    chw = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    return (lambda: session.run([network.HEAT, network.DISTANCES], {network.INPUT: chw}),
            lambda out: out[0][0].transpose(1, 2, 0), onnxruntime.__version__)


def ncnn_peer(folder, picture, vulkan):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute = THREADS, vulkan
    if vulkan:
        net.set_vulkan_device(0)
    assert net.load_param(folder + "/centernet.param") == 0
    assert net.load_model(folder + "/centernet.bin") == 0
    chw = np.ascontiguousarray(picture.transpose(2, 0, 1))

    def infer():
        with net.create_extractor() as extractor:
            extractor.input(network.INPUT, ncnn.Mat(chw).clone())
            outs = [extractor.extract(name) for name in (network.HEAT, network.DISTANCES)]
            assert all(code == 0 for code, _ in outs)
            return [np.array(mat) for _, mat in outs]
    where = " on " + ncnn.get_gpu_info(0).device_name() if vulkan else ""
    return infer, lambda out: out[0].transpose(1, 2, 0), ncnn.__version__ + where


def main():
    kind, folder, picture = sys.argv[1:]
    size = network.SIZE
    pixels = np.fromfile(picture, np.uint8).reshape(size, size, 3).astype(np.float32)
    infer, heat, version = (onnxruntime_peer(folder, pixels) if kind == "onnxruntime" else
                            ncnn_peer(folder, pixels, kind == "ncnn-vulkan"))
    infer()
    print(json.dumps({"ready": version}), flush=True)
    for line in sys.stdin:
        word, argument = line.split(maxsplit=1)
        if word == "heat":
            np.ascontiguousarray(heat(infer()), np.float32).tofile(argument.strip())
            print("true", flush=True)
            continue
        times = []
        for _ in range(int(argument)):
            start = time.perf_counter()
            infer()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
