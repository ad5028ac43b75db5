#!/usr/bin/env python3
"""Makes fuzz/documents.dict, the words of Zarr, NGFF and the configuration, from the documents of the corpus."""
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
words = set()
for target in ("zarr_v2", "zarr_v3", "ome_image", "configuration"):
    for path in (HERE / "corpus" / target).iterdir():
        words.update(re.findall(rb'"[A-Za-z0-9_.<>|:/-]{1,40}"', path.read_bytes()))
words.update([b"4294967296", b"9223372036854775807", b"18446744073709551615", b"-1", b"1e300", b"null", b"true",
              b"\n--- 0.0\n", b"\n--- c/0/0\n", b"\n--- zarr.json\n", b"\n--- .zarray\n"])
escape = "".join
(HERE / "documents.dict").write_text("".join(
    '"%s"\n' % escape(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in word)
    for word in sorted(words)))
