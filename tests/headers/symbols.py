"""The shared library shows the functions that the headers mark WW_API, and nothing else.

    symbols.py LIBRARY HEADER...
"""

import pathlib
import re
import subprocess
import sys


def declared(header):
    text = re.sub(r"//.*", "", header.read_text())
    return set(re.findall(r"\bWW_API\b[^;{(]*?\b(ww_\w+)\s*\(", text))


def shown(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    # What a sanitizer adds is not ours.
    return {line.split()[-1] for line in lines if not re.search(r" _|asan|ubsan|tsan", line)}


library, headers = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
promised = set().union(*(declared(header) for header in headers))
found = shown(library)
for name in sorted(promised - found):
    print(f"declared, but not in the library: {name}")
for name in sorted(found - promised):
    print(f"in the library, but not declared: {name}")
print(f"{len(promised & found)} functions")
sys.exit(0 if promised == found else 1)
