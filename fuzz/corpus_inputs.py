"""What the makers of fuzz/corpus share: where inputs go, their form, and numbers that repeat."""
import gzip
import json
import pathlib
import struct
import types

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
folder_of_corpus = HERE / "corpus"
gzip.time = types.SimpleNamespace(time=lambda: 0)  # which gzip writes into its header
RANDOM = np.random.RandomState(1)


def put(target, name, content):
    folder = folder_of_corpus / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def store(objects):
    """Keys and bytes as one input (store_input.h)."""
    out = b""
    for key, content in objects.items():
        if isinstance(content, (dict, list)):
            content = json.dumps(content)
        content = content if isinstance(content, bytes) else content.encode()
        assert b"\n--- " not in content, key
        out += (b"\n" if out else b"") + b"--- " + key.encode() + b"\n" + content
    return out


def values(shape, dtype):
    """Small numbers, which all codecs can make smaller."""
    return RANDOM.randint(0, 50, shape).astype(dtype)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)
