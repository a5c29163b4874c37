#!/usr/bin/python3
"""Any words, through the whole product: an RTSP camera, Grounding DINO (a small one with invented weights),
grounding messages, and words that change while it runs."""
import os
import time

from harness import FIRST, SLOW, SOURCE, Camera, Daemon, run, stream

MODEL = os.path.join(SOURCE, "tests", "models", "grounding-dino", "model")


def ground(*phrases):
    return {"task": "ground", "model": MODEL, "phrases": list(phrases), "threshold": 0.05}


def labels(message):
    return {o["label"] for o in message["objects"]}


def test_words_change():
    """New words count from one frame to the next, and nobody else notices."""
    with Camera() as gate, Camera() as yard:
        before, after = ["a cat", "a remote control"], ["silver spoon"]
        streams = {"gate": stream(gate.url, ground(*before)), "yard": stream(yard.url)}
        with Daemon(streams) as daemon:
            first = daemon.ear.wait("grounding/gate/", FIRST)
            daemon.ear.wait("detection/yard/", FIRST)
            assert first["revision"] == 1 and labels(first) and labels(first) <= set(before), first
            assert first["model"]["digest"].startswith("sha256:")
            streams["gate"] = stream(gate.url, ground(*after))
            daemon.configure(streams)
            asked = time.monotonic()
            daemon.reload()
            second = daemon.ear.wait("grounding/gate/", 20, lambda m: m["revision"] > 1)
            took, look = second["_mono"] - asked, second["latency_ms"]["infer"] / 1000
            print(f"  the first result of the new words came {took:.2f} s after they "
                  f"did; a look took {1000 * look:.0f} ms")
            assert took < SLOW + 3 * look, f"{took:.2f} s"  # one look that was under way, and one of them
            daemon.ear.listen(2 * SLOW)
            daemon.stop()
            heard = [m for m in daemon.ear.messages if m["_topic"] == "grounding/gate/"]
            assert second["revision"] == 2 and second["epoch"] == first["epoch"]
            for m in heard:
                assert labels(m) <= set(before if m["revision"] == 1 else after), m
            old = [m for m in heard if m["revision"] == 1 and m["_mono"] > asked]
            assert len(old) <= 3, f"{len(old)} results of the old words"  # heard late, under way, waiting
            indices = [m["frame"]["index"] for m in heard]
            assert indices == sorted(set(indices)), indices
            others = [m for m in daemon.ear.messages if m["_topic"] == "detection/yard/"]
            assert {m["revision"] for m in others} == {1}
            assert any(m["_mono"] > second["_mono"] for m in others), "the other camera fell silent"


def test_no_words():
    """A model that must be told what to look for, and is not: that stream alone is disabled."""
    with Daemon({"t": stream("test:ball", {"task": "ground", "model": MODEL}),
                 "good": stream("test:ball")}) as daemon:
        cause = daemon.wait_state("t", "disabled", FIRST)["cause"]
        assert "no phrase is given" in cause["text"], cause
        daemon.ear.wait("detection/good/", FIRST)
        daemon.stop()


if __name__ == "__main__":
    run(test_words_change, test_no_words)
