"""What the tests of the watchword command share."""
import os
import subprocess

BUILD = os.environ["WATCHWORD_BUILD"]
SOURCE = os.environ["WATCHWORD_SOURCE"]
PROGRAM = os.path.join(BUILD, "cli/watchword")


def watchword(*args, timeout=120, **more):
    return subprocess.run([PROGRAM, *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=timeout, **more)
