#!/usr/bin/python3
"""Installs a build into a scratch root and looks at it as a distribution's packager would.

    test_install.py BUILD      BUILD was configured with --prefix=/usr

Every file must lie where Debian expects it, nothing may remember where it was built, the headers
and the pkg-config file must be enough to build a program, and that program must run.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD = os.path.abspath(sys.argv[1])
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = ["bench", "decode", "draw", "engine", "error", "frame", "log", "models", "trace", "watch"]
failed = 0


def check(condition, what):
    global failed
    failed += not condition
    print(f"{'ok    ' if condition else 'FAILED'} {what}")
    return condition


def run(*command, **kwargs):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **kwargs)


def options():
    text = subprocess.check_output(["meson", "introspect", BUILD, "--buildoptions"])
    return {o["name"]: o["value"] for o in json.loads(text)}


def variable(package, name):
    done = run("pkg-config", "--variable=" + name, package)
    return done.stdout.strip()


def expected(prefix, libdir, root):
    """Paths that must be there, and why."""
    yield from ((f"{prefix}/include/watchword/{h}.h", "header") for h in HEADERS)
    yield f"{libdir}/libwatchword.so", "link name"
    yield f"{libdir}/libwatchword.so.0", "soname"
    yield f"{libdir}/pkgconfig/watchword.pc", "pkg-config"
    for name in ("centernet", "movenet-lightning", "movenet-thunder"):
        yield f"{prefix}/share/watchword/models/nano/{name}.safetensors", "weights"
    yield f"{prefix}/share/watchword/models/nano/NOTICE", "where the weights are from"
    for kind in ("detection", "pose", "status"):
        yield f"{prefix}/share/watchword/schema/{kind}.json", "schema of messages"
    yield f"{prefix}/share/watchword/catalogue.json", "models to fetch"
    yield f"{prefix}/bin/watchword", "command"
    yield f"{prefix}/bin/watchwordd", "daemon"
    yield f"{prefix}/libexec/watchword/test-camera", "the demo's camera"
    yield f"{libdir}/gstreamer-1.0/libgstwatchword.so", "plugin"
    yield f"{prefix}/share/man/man1/watchword.1", "man page"
    yield f"{prefix}/share/man/man8/watchwordd.8", "man page"
    units = variable("systemd", "systemdsystemunitdir") or "/lib/systemd/system"
    candidates = [f"{units}/watchwordd.service", f"{prefix}{units}/watchwordd.service"]
    found = [c for c in candidates if os.path.exists(root + c)]
    yield (found or candidates)[0], "systemd unit"


def installed(root):
    for folder, _, files in os.walk(root):
        for name in files:
            yield os.path.join(folder, name)


def check_files(root, prefix, libdir):
    for path, why in expected(prefix, libdir, root):
        there = any(os.path.lexists(root + path + packed) for packed in ("", ".gz"))
        check(there, f"{path} ({why})")
    for path in installed(root):
        for place in (BUILD, SOURCE):
            if remembers(path, place):
                check(False, f"{path[len(root):]} remembers {place}")


def remembers(path, place):
    """Whether a file names a folder of this machine, apart from debug information, which a
    distribution strips, and the relative names that assert() keeps."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:4] == b"\x7fELF":
        with tempfile.NamedTemporaryFile() as stripped:
            subprocess.run(["strip", "-g", "-o", stripped.name, path], check=True)
            data = stripped.read()
    return re.search(rb"(?<!\.\.)" + re.escape(place.encode()) + b"/", data) is not None


def check_library(root, libdir):
    library = f"{root}{libdir}/libwatchword.so.0"
    text = run("nm", "-D", "--defined-only", library).stdout
    names = [line.split()[-1] for line in text.splitlines()]
    strange = [n for n in names if not n.startswith("ww_")]
    check(names and not strange, f"the library shows {len(names)} symbols, all of them ww_ {strange}")
    for path in installed(root):
        if open(path, "rb").read(4) == b"\x7fELF":
            dynamic = run("readelf", "-d", path).stdout
            check(not re.search(r"R(UN)?PATH", dynamic), f"{path[len(root):]} has no run path")


def check_program(root, libdir, scratch):
    system = run("pkg-config", "--variable=pc_path", "pkg-config").stdout.strip()
    env = {**os.environ, "PKG_CONFIG_PATH": f"{root}{libdir}/pkgconfig:{system}",
           "PKG_CONFIG_SYSROOT_DIR": root}
    flags = run("pkg-config", "--cflags", "--libs", "watchword", env=env).stdout.split()
    program = scratch + "/tiny"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny.c")
    built = run("cc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", program, source, *flags)
    if check(built.returncode == 0, "a program builds with pkg-config " + " ".join(flags)):
        ran = run(program, env={**os.environ, "LD_LIBRARY_PATH": root + libdir})
        check(ran.returncode == 0, "it runs: " + ran.stdout.strip())
    else:
        print(built.stdout)


def check_plugin(root, libdir, scratch):
    if not shutil.which("gst-inspect-1.0"):
        return
    env = {**os.environ, "LD_LIBRARY_PATH": root + libdir, "GST_REGISTRY": scratch + "/registry",
           "GST_PLUGIN_PATH": f"{root}{libdir}/gstreamer-1.0"}
    for element in ("wwinfer", "wwoverlay"):
        seen = run("gst-inspect-1.0", element, env=env)
        check(seen.returncode == 0, f"gst-inspect-1.0 {element}")


def check_unit(root):
    units = [p for p in installed(root) if p.endswith("watchwordd.service")]
    for unit in units:
        start = re.search(r"^ExecStart=-?(\S+)", open(unit).read(), re.M)
        check(start and os.path.exists(root + start[1]), f"ExecStart={start and start[1]} is there")
        if shutil.which("systemd-analyze"):
            # Complains about every unit that the scratch root lacks; only this one counts.
            said = run("systemd-analyze", "verify", "--root=" + root, "--man=no",
                       os.path.basename(unit)).stdout
            others = re.compile(r"not found|Command (?!\S*watchword)\S+ is not executable")
            bad = [line for line in said.splitlines() if "watchwordd.service:" in line and
                   not others.search(line)]
            check(not bad, "systemd-analyze verify " + "; ".join(bad))


def check_starts(root, prefix, libdir, scratch):
    """What the unit does about a configuration that is wrong, and one of which only a word is."""
    unit = next((open(p).read() for p in installed(root) if p.endswith("watchwordd.service")), "")
    allowed = int((re.search(r"^LimitNOFILE=(\d+)$", unit, re.M) or [0, 0])[1])
    check(allowed >= 1000 * 5, f"descriptors for 1000 cameras: LimitNOFILE={allowed}")
    env = {**os.environ, "LD_LIBRARY_PATH": root + libdir,
           "WATCHWORD_MODELS": f"{root}{prefix}/share/watchword/models"}
    for name, watch in (("word", {"phrases": ["persn"]}), ("file", {"phrase": "person"})):
        with open(f"{scratch}/{name}.json", "w", encoding="utf-8") as file:
            json.dump({"streams": {"gate": {"url": "test:ball", "watches": [watch]}}}, file)
    for before in re.findall(r"^ExecStartPre=(?!-)\S*/(watchwordd.*)$", unit, re.M):
        ran = run(*f"{root}{prefix}/bin/{before} --config {scratch}/word.json".split(), env=env)
        check(ran.returncode == 0, f"{before} lets a wrong word pass")
    ran = run(f"{root}{prefix}/bin/watchwordd", "--config", f"{scratch}/file.json", env=env)
    kept = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M)
    check(kept and str(ran.returncode) in kept[1].split(),
          f"a wrong configuration, status {ran.returncode}, is not tried again")
    check(ran.stdout.count("\n") == 1 and "watches[0]" in ran.stdout, "it is told once: " + ran.stdout.strip())


def check_manuals(root):
    for page in (p for p in installed(root) if "/share/man/" in p):
        if shutil.which("man"):
            said = run("man", "--warnings", "-l", "-Tutf8", page, env={**os.environ, "MANPAGER": "cat"})
            warnings = [s for s in said.stdout.splitlines() if "warning" in s.lower()
                        and page in s]
            check(said.returncode == 0 and not warnings, f"man {os.path.basename(page)}")


def check_command(root, prefix, libdir):
    env = {**os.environ, "LD_LIBRARY_PATH": root + libdir}
    for program in ("watchword", "watchwordd"):
        path = f"{root}{prefix}/bin/{program}"
        if os.path.exists(path):
            said = run(path, "--help", env=env)
            check(said.returncode == 0 and program in said.stdout, program + " --help")


def main():
    set_to = options()
    prefix = set_to["prefix"]
    libdir = os.path.join(prefix, set_to["libdir"])
    with tempfile.TemporaryDirectory(prefix="watchword-install-") as scratch:
        root = scratch + "/root"
        done = run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", root)
        if not check(done.returncode == 0, "meson install --destdir"):
            print(done.stdout)
            return 1
        check_files(root, prefix, libdir)
        check_library(root, libdir)
        check_program(root, libdir, scratch)
        check_plugin(root, libdir, scratch)
        check_unit(root)
        check_starts(root, prefix, libdir, scratch)
        check_manuals(root)
        check_command(root, prefix, libdir)
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
