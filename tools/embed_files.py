#!/usr/bin/env python3
"""Makes a C++ file that holds other files as texts.

Usage: embed_files.py OUTPUT HEADER NAMESPACE NAME=FILE...
OUTPUT defines a std::string_view NAMESPACE::NAME for each, which HEADER declares.
"""
import pathlib
import sys

# Compilers must accept string literals of 64 KiB, and few accept more.
LONGEST = 16000


def literals(text):
    """The text as string literals one after another."""
    pieces = []
    for start in range(0, len(text), LONGEST):
        pieces.append(f'R"~~~~({text[start:start + LONGEST]})~~~~"')
    return "\n".join(pieces) or '""'


def main():
    output, header, namespace, *files = sys.argv[1:]
    lines = [f'#include "{header}"', "", f"namespace {namespace} {{", ""]
    for entry in files:
        name, path = entry.split("=", 1)
        text = pathlib.Path(path).read_text(encoding="utf-8")
        if ")~~~~" in text:
            sys.exit(f"{path}: holds )~~~~, which ends the text")
        lines += [f"extern const std::string_view {name};", f"const std::string_view {name} =", literals(text) + ";", ""]
    lines += [f"}}  // namespace {namespace}", ""]
    pathlib.Path(output).write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
