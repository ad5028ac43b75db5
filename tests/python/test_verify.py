"""`verify` names what is not as it was written; a damaged input chunk is an error that names it."""
import os
import random
import shutil

import numpy as np
import pytest
import zarr
from numcodecs import Blosc, Zlib

from support.program import BAD_INPUT, NOT_FOUND, USAGE, call, correct, files_below
from support.tiles import phantom_tile, write_tile
from test_invariance import NAME


@pytest.fixture(scope="module", params=["2", "3", "3 sharded"])
def image(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    tile = phantom_tile(folder, (70, 60, 80), (16, 16, 16), n_levels=4, name=NAME)
    run = correct(tile, folder / "run", "--n-levels", 4, "--output-zarr-format", request.param[0],
                  "--corrected-shard-size", "32" if "sharded" in request.param else "none")
    return run.corrected


@pytest.fixture
def copy(image, tmp_path):
    shutil.copytree(image, tmp_path / NAME)
    return tmp_path / NAME


def verify(image, *options):
    return call("verify", image, *options, cwd=image.parent)


def test_what_was_written_is_good(image):
    for options in ([], ["--all"], ["--quick"], ["--num-workers", 3]):
        result = verify(image, *options)
        assert result.code == 0 and "good" in result.out and not result.err, result.err
    assert "of level" not in verify(image).out


def test_every_object_with_a_flipped_bit_is_named(copy):
    seed = random.SystemRandom().randrange(10 ** 6)
    print("seed", seed)
    chance = random.Random(seed)
    files = files_below(copy)
    assert len(files) > 15
    for path in files if len(files) < 60 else chance.sample(sorted(files), 60):
        content = bytearray(files[path])
        place = chance.randrange(len(content))
        content[place] ^= 1 << chance.randrange(8)
        (copy / path).write_bytes(content)
        result = verify(copy)
        assert result.code == BAD_INPUT, f"{path}, byte {place}"
        assert str(copy / path) in result.err, (path, place, result.err)
        (copy / path).write_bytes(files[path])
    assert verify(copy).code == 0


def test_verify_looks_at_all_or_quickly(copy):
    result = verify(copy, "--all", "--quick")
    assert result.code == USAGE and "--quick" in result.err and "--all" in result.err


@pytest.mark.parametrize("damage", ["missing", "truncated"])
@pytest.mark.parametrize("options", [[], ["--quick"]])
def test_every_object_that_is_missing_or_truncated_is_named(copy, damage, options):
    files = files_below(copy)
    for path in random.Random(4).sample(sorted(files), 12):
        if damage == "missing":
            (copy / path).unlink()
        else:
            (copy / path).write_bytes(files[path][:-1])
        result = verify(copy, *options)
        expected = NOT_FOUND if damage == "missing" and path.endswith("checksums.npz") else BAD_INPUT
        assert result.code == expected and str(copy / path) in result.err, (path, result.err)
        (copy / path).write_bytes(files[path])


def test_an_object_that_cannot_be_read_does_not_keep_the_others_from_it(copy):
    unreadable, *others = [path for path in sorted(files_below(copy / "0")) if path[-1].isdigit()][:4]
    (copy / "0" / unreadable).unlink()
    os.mkfifo(copy / "0" / unreadable)
    for path in others:
        content = (copy / "0" / path).read_bytes()
        (copy / "0" / path).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    result = verify(copy)
    assert result.code == BAD_INPUT
    assert all(str(copy / "0" / path) in result.err for path in [unreadable, *others]), result.err


def test_a_level_that_does_not_come_of_the_one_below_is_named(copy, tmp_path):
    """As after a defect of the program: the checksums agree, the voxels do not."""
    tile = phantom_tile(tmp_path / "in", (70, 60, 80), (16, 16, 16), n_levels=4, name=NAME)
    run = correct(tile, tmp_path / "run", "--n-levels", 3, "--corrected-rank", "mean")
    attributes = run.corrected / ".zattrs"
    text = attributes.read_text()
    assert verify(run.corrected, "--all").code == 0
    attributes.write_text(text.replace('"type": "mean"', '"type": "mode"').replace('"type":"mean"', '"type":"mode"'))
    result = verify(run.corrected, "--all")
    assert result.code == BAD_INPUT and ".zattrs" in result.err


def test_what_is_no_image_of_this_program_is_said(tmp_path):
    tile = write_tile(tmp_path / NAME, np.zeros((8, 8, 8), np.uint16), (4, 4, 4))
    result = verify(tile)
    assert result.code == NOT_FOUND and len(result.error_lines) == 1
    assert verify(tmp_path / "none").code == NOT_FOUND


def test_an_image_that_cannot_be_checked_does_not_keep_the_others_from_it(image, copy):
    none = copy.parent / "none"
    result = verify(none, image)
    assert result.code == NOT_FOUND and len(result.error_lines) == 1 and f"{image}: good" in result.out
    (copy / "0" / ("zarr.json" if (copy / "0/zarr.json").exists() else ".zarray")).unlink()
    for images in ([none, copy, image], [copy, none, image]):
        result = verify(*images)
        assert result.code == BAD_INPUT, result.err
        assert f"{copy}: damaged" in result.out and f"{image}: good" in result.out and str(none) in result.err


@pytest.mark.parametrize("codec", ["zlib", "crc32c"])
def test_a_flipped_bit_in_an_input_chunk_whose_codec_has_a_checksum_is_an_error_that_names_it(tmp_path, codec):
    counts = np.random.default_rng(3).integers(0, 4000, (40, 40, 40)).astype(np.uint16)
    if codec == "zlib":
        tile = write_tile(tmp_path / NAME, counts, (16, 16, 16), compressor=Zlib(1))
        chunk = tile / "0/0/0/1/0/2"
    else:
        source = write_tile(tmp_path / "in" / NAME, counts, (16, 16, 16))
        tile = correct(source, tmp_path / "made", "--skip-flat-field", "--skip-bkg-sub", "--output-zarr-format", 3,
                       masks=False).corrected  # shards have an index with a checksum
        (chunk,) = (tile / "0/c").rglob("0/0/0/0/0")
    good = chunk.read_bytes()
    for place in ([len(good) // 2, len(good) - 2] if codec == "zlib" else [len(good) - 3, len(good) - 10]):
        content = bytearray(good)
        content[place] ^= 16
        chunk.write_bytes(content)
        made = call("run", "--zarr", tile, "--output", tmp_path / "out", "--skip-flat-field", "--skip-bkg-sub",
                    "--overwrite", cwd=tmp_path)
        assert made.code == BAD_INPUT and len(made.error_lines) == 1 and str(chunk) in made.err, made.err
