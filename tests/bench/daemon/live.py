"""The daemon of a build, live: what its benchmarks begin with."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def build(usage):
    """The build that the command line names first, which the tests' harness takes from the environment."""
    if len(sys.argv) < 2:
        sys.exit(usage)
    os.environ.update(WATCHWORD_BUILD=os.path.abspath(sys.argv[1]), WATCHWORD_SOURCE=ROOT,
                      WATCHWORD_MODELS=os.path.join(ROOT, "models"))
    sys.path.insert(0, os.path.join(ROOT, "tests", "daemon"))
