#!/usr/bin/python3
"""How well do messages agree with ground truth? Average precision by COCO's rules.

    watchword run --model nano vtest.avi | score.py tests/data/pets09/first-half.txt -
    score.py --frames 0-99 --json TRUTH MESSAGES.jsonl

MESSAGES are JSON lines of schema watchword/1 (.gz may be packed); of each, frame.index and the
objects' label, score and box count. A frame without a message is one where nothing was found. TRUTH is
a file of the MOT Challenge, frames counted from 1, flag 0 for people who need not be found.

The rules: the 100 best boxes of a frame, best first, each take the free person they overlap most, if
the overlap reaches the threshold (0.50 to 0.95 by 0.05); only if there is none, one who need not be
found, and then the box counts neither way. Precision is made monotonic and averaged over 101 recalls.
"""
import argparse
import gzip
import json
import sys
from collections import defaultdict

import numpy as np

THRESHOLDS = 0.5 + 0.05 * np.arange(10)
RECALLS = np.linspace(0, 1, 101)


def read_truth(path):
    """{frame index: (boxes [n, 4] as edges, wanted [n])}"""
    rows = defaultdict(list)
    with open(path) as lines:
        for line in lines:
            frame, _, left, top, width, height, flag = map(float, line.split(",")[:7])
            rows[int(frame) - 1].append((left, top, left + width, top + height, flag))
    return {i: (np.array(r)[:, :4], np.array(r)[:, 4] != 0) for i, r in rows.items()}


def read_messages(path, label="person"):
    """{frame index: (boxes [n, 4], scores [n])}, best first"""
    found = {}
    opened = sys.stdin if path == "-" else gzip.open(path, "rt") if path.endswith(".gz") else open(path)
    with opened as lines:
        for line in filter(str.strip, lines):
            message = json.loads(line)
            if "objects" in message:
                found[message["frame"]["index"]] = objects(message["objects"], label)
    return found


def objects(them, label):
    them = sorted((o for o in them if o["label"] == label), key=lambda o: -o["score"])[:100]
    return (np.array([o["box"] for o in them], float).reshape(-1, 4),
            np.array([o["score"] for o in them], float))


def overlaps(a, b):
    """Intersection over union, [len(a), len(b)]"""
    size = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    common = np.prod(np.maximum(size, 0), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return common / np.maximum(area_a[:, None] + area_b[None] - common, 1e-12)


def match(overlap, wanted, threshold):
    """Of each box: 1 right, -1 wrong, 0 counts neither way."""
    free, verdict = np.ones(len(wanted), bool), np.full(len(overlap), -1)
    for box, row in enumerate(overlap):
        for group, outcome in ((wanted, 1), (~wanted, 0)):
            here = np.flatnonzero(free & group & (row >= threshold - 1e-12))
            if len(here):
                taken = here[len(here) - 1 - np.argmax(row[here][::-1])]  # the last of equals
                free[taken], verdict[box] = False, outcome
                break
    return verdict


def average_precision(verdicts, scores, num_wanted):
    verdicts = verdicts[np.argsort(-scores, kind="stable")]
    right, wrong = np.cumsum(verdicts > 0), np.cumsum(verdicts < 0)
    precision = np.maximum.accumulate((right / np.maximum(right + wrong, 1))[::-1])[::-1]
    at = np.searchsorted(right / num_wanted, RECALLS)
    return float(np.append(precision, 0)[np.minimum(at, len(precision))].mean())


def score(truth, found, frames):
    """{"ap50", "ap75", "ap", "frames", "messages", "people"}"""
    nobody = np.zeros((0, 4))
    verdicts, scores, num_wanted = [[] for _ in THRESHOLDS], [], 0
    for i in frames:
        people, wanted = truth.get(i, (nobody, np.zeros(0, bool)))
        boxes, confidence = found.get(i, (nobody, np.zeros(0)))
        overlap = overlaps(boxes, people)
        num_wanted += int(wanted.sum())
        scores.append(confidence)
        for all_of_one, threshold in zip(verdicts, THRESHOLDS):
            all_of_one.append(match(overlap, wanted, threshold))
    if not num_wanted:
        sys.exit("score: nobody is to be found in these frames")
    scores = np.concatenate(scores)
    aps = [average_precision(np.concatenate(v), scores, num_wanted) for v in verdicts]
    return {"ap50": aps[0], "ap75": aps[5], "ap": float(np.mean(aps)), "frames": len(frames),
            "messages": sum(i in found for i in frames), "people": num_wanted}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth")
    parser.add_argument("messages", help="- for standard input")
    parser.add_argument("--label", default="person")
    parser.add_argument("--frames", metavar="FIRST-LAST", help="of the film, from 0; default: all of TRUTH")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    truth = read_truth(options.truth)
    first, last = map(int, options.frames.split("-")) if options.frames else (0, max(truth))
    result = score(truth, read_messages(options.messages, options.label), range(first, last + 1))
    print(json.dumps(result) if options.json else
          "AP50 {ap50:.4f}   AP75 {ap75:.4f}   AP50:95 {ap:.4f}   {messages} messages for {frames} "
          "frames, {people} people".format(**result))


if __name__ == "__main__":
    main()
