#!/usr/bin/python3
"""What README.md and docs/elements.md tell people to type works, and says what they say."""
import os
import re
import subprocess
import sys
import tempfile

from harness import FIRST, SANITIZED, SLOW, SOURCE, Daemon, environment, run, stream


def text_of(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def block(text, language, holds):
    """The one fenced block in that language which has these words."""
    found = [b for b in re.findall(rf"```{language}\n(.*?)```", text, re.S) if holds in b]
    assert len(found) == 1, f"{len(found)} blocks with {holds!r}"
    return found[0]


def test_python():
    """The subscriber of the README, for three messages."""
    code = block(text_of("README.md"), "python", "recv_multipart")
    with Daemon({"gate": stream("test:ball", {"threshold": 0.01})}) as daemon:
        daemon.ear.wait("detection/gate/", FIRST)
        code = code.replace("ipc:///run/watchword/messages", daemon.endpoint)
        code = code.replace("while True:", "for _ in range(3):")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=30 * SLOW)


def test_launch():
    """The pipelines, with a film that there is and a sink that needs no screen."""
    with tempfile.TemporaryDirectory() as folder:
        film = os.path.join(folder, "film.mkv")
        env = environment()
        subprocess.run(["gst-launch-1.0", "-q", "videotestsrc", "num-buffers=8", "!",
                        "video/x-raw,width=160,height=120", "!", "jpegenc", "!", "matroskamux", "!",
                        "filesink", "location=" + film], check=True, env=env, timeout=60 * SLOW)
        for page in (("README.md",), ("docs", "elements.md")):
            code = block(text_of(*page), "sh", "filesrc")
            command = code[code.index("gst-launch-1.0"):]
            command = re.sub(r"location=\S+", "location=" + film, command)
            command = command.replace("autovideosink", "fakesink").replace("wwinfer ",
                                                                           "wwinfer input-size=128 ")
            subprocess.run(command, shell=True, check=True, env=env, timeout=120 * SLOW)


def test_properties():
    """Each property that docs/elements.md lists is there, and none is missing in it."""
    inspect = subprocess.run(["gst-inspect-1.0", "wwinfer"], check=True, env=environment(), text=True,
                             stdout=subprocess.PIPE, timeout=60 * SLOW).stdout
    has = set(re.findall(r"^  ([a-z-]+) +: ", inspect, re.M)) - {"name", "parent", "qos"}
    section = text_of("docs", "elements.md").split("## wwinfer")[1].split("### sync")[0]
    listed = set()
    for row in re.findall(r"^\| (`.*?) \|", section, re.M):
        listed |= set(re.findall(r"`([a-z-]+)`", row))
    assert has == listed, has ^ listed


if __name__ == "__main__":
    if SANITIZED:  # gst-launch-1.0 itself was built without the sanitizer that the plugin needs
        print("the tests of gst-launch-1.0 and gst-inspect-1.0 are left to builds without a sanitizer")
        run(test_python)
    else:
        run(test_python, test_launch, test_properties)
    sys.exit(0)
