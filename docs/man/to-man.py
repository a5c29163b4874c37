#!/usr/bin/env python3
"""Makes a manual page of Markdown: to-man.py VERSION PAGE.N.md PAGE.N

It knows what our pages use: "# NAME SECTION" on top, "## HEADING", paragraphs, "term" and ": text" for lists, indented
examples, **bold**, *italic* and `code`. Meson needs Python, so a page is never left out for want of a program."""
import re
import sys


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def inline(text):
    """Fonts within a line; a backslash keeps the star after it."""
    out, font = [], {"**": "\\fB", "*": "\\fI", "`": "\\fB"}
    pattern = r"\\([*`|_])|(\*\*)(.+?)\*\*|(\*)([^* ][^*]*?)\*|(`)([^`]+)`"
    at = 0
    for found in re.finditer(pattern, text):
        out.append(escape(text[at : found.start()]))
        kept, *rest = found.groups()
        if kept:
            out.append(escape(kept))
        else:
            mark, content = next((rest[i], rest[i + 1]) for i in (0, 2, 4) if rest[i])
            out.append(font[mark] + escape(content) + "\\fR")
        at = found.end()
    line = "".join(out) + escape(text[at:])
    return "\\&" + line if line[:1] in (".", "'") else line


def blocks(text):
    """Runs of lines that are not blank."""
    return [block.split("\n") for block in re.split(r"\n\s*\n", text.strip("\n"))]


def convert(text, version):
    out = []
    for lines in blocks(text):
        if title := re.fullmatch(r"# (\S+) (\d)", lines[0]):
            out.append(f'.TH {title[1]} {title[2]} "" "watchword {version}"\n.nh\n.ad l')
            lines = lines[1:]
        if lines and lines[0].startswith("## "):
            out.append(f'.SH "{lines[0][3:]}"')
            lines = lines[1:]
        if not lines:
            continue
        if all(line.startswith("    ") for line in lines):
            out.append(".PP\n.RS 4\n.nf")
            out += [("\\&" if line[4:5] in (".", "'") else "") + escape(line[4:]) for line in lines]
            out.append(".fi\n.RE")
        elif len(lines) > 1 and lines[1].startswith(": "):
            out.append(".TP\n" + inline(lines[0]))
            out.append(inline(" ".join(line[2:] for line in lines[1:])))
        else:
            out.append(".PP\n" + inline(" ".join(lines)))
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        page = convert(file.read(), sys.argv[1])
    with open(sys.argv[3], "w", encoding="utf-8") as file:
        file.write(page)
