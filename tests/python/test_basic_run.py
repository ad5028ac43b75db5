"""BaSiC as a user runs it: on a folder of images, and on tiles with --method basicpy."""
import json

import numpy as np
import pytest
import tifffile

from support.overlap import overlap_residual, overlapping_pairs, read_positions
from support.peak_memory import peak_resident_bytes
from support.program import (BAD_INPUT, NOT_FOUND, OUTPUT_EXISTS, PROGRAM, READ_FAILED, UNSUPPORTED, USAGE, call, correct,
                             files_below, read_json, read_volume, shared_data)
from support.tiles import phantom, write_mask, write_tile

NAME = "tile_000001_ch_488.zarr"


def options_file(folder, **options):
    path = folder / "basic.json"
    path.write_text(json.dumps(options))
    return path


def light(height, width):
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    field = (1 - 0.3 * y ** 2) * (1 - 0.4 * (x - 0.2) ** 2)
    return field / field.mean()


def scenes(count, height, width, seed=0):
    """Images of scattered cells under one light, as uint16."""
    random = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        cells = random.gamma(2, 100, (height // 8 + 1, width // 8 + 1)).repeat(8, 0).repeat(8, 1)[:height, :width]
        out.append(np.rint((200 + cells) * light(height, width) + random.normal(0, 3, (height, width))))
    return np.clip(out, 0, 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for i, image in enumerate(scenes(30, 64, 80)):
        tifffile.imwrite(folder / f"image_{i:02}.tif", image)
    return folder


# ---------------------------------------------------------------------------------------------
# A folder of images


@pytest.mark.parametrize("most, options", [
    (0.044, {"working_size": 128}),
    (0.023, {"working_size": 128, "get_darkfield": True, "smoothness_flatfield": 1, "smoothness_darkfield": 1})],
    ids=["defaults", "darkfield"])
def test_tiles_of_a_mosaic_agree_where_they_overlap(tmp_path, most, options):
    folder = shared_data("data/real/WSI_brain")
    result = call("basic", folder, "--output", tmp_path / "out", "--basic-config",
                  options_file(tmp_path, **options), "--num-workers", 2, cwd=tmp_path)
    assert result.code == 0, result.err
    positions = read_positions(folder / "TileConfiguration.registered.txt")
    raw, corrected = (np.stack([tifffile.imread(place / name) for name, _, _ in positions])
                      for place in (folder, tmp_path / "out"))
    pairs = overlapping_pairs(raw, positions)
    assert len(pairs) == 76 and overlap_residual(raw, pairs) == pytest.approx(0.204, abs=1e-3)
    residual = overlap_residual(corrected, pairs)
    print(f"overlap residual {residual:.4f}")
    assert residual <= most


def test_images_are_corrected_by_the_flatfield_that_is_written(images, tmp_path):
    config = options_file(tmp_path, working_size=None)
    for output_type in ("uint16", "float32"):
        out = tmp_path / output_type
        result = call("basic", images, "--output", out, "--basic-config", config, "--output-type", output_type,
                      cwd=tmp_path)
        assert result.code == 0, result.err
        flatfield, darkfield = (tifffile.imread(out / f"{name}.tif") for name in ("flatfield", "darkfield"))
        assert flatfield.dtype == np.float32 and not darkfield.any()
        assert np.percentile(np.abs(flatfield / light(64, 80) - 1), 95) < 0.15
        for path in sorted(images.glob("*.tif")):
            expected = (tifffile.imread(path).astype(np.float32) - darkfield) / flatfield
            if output_type == "uint16":
                expected = np.rint(np.clip(expected, 0, 65535)).astype(np.uint16)
            found = tifffile.imread(out / path.name)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        report = read_json(out / "basic_report.json")
        assert list(report["baseline"]) == [path.name for path in sorted(images.glob("*.tif"))]
        np.testing.assert_allclose(report["flat_std"], flatfield.std() / flatfield.mean(), rtol=1e-5)
        assert report["basic"]["working_size"] is None and report["converged"] in (True, False)


@pytest.mark.parametrize("timelapse", ["multiplicative", "additive"])
def test_timelapse_subtracts_the_brightness_of_each_image(images, tmp_path, timelapse):
    config = options_file(tmp_path, working_size=64)
    result = call("basic", images, "--output", tmp_path / "out", "--basic-config", config, "--timelapse", timelapse,
                  "--output-type", "float32", cwd=tmp_path)
    assert result.code == 0, result.err
    flatfield = tifffile.imread(tmp_path / "out" / "flatfield.tif")
    baseline = read_json(tmp_path / "out" / "basic_report.json")["baseline"]
    for name, brightness in baseline.items():
        raw = tifffile.imread(images / name).astype(np.float32)
        expected = raw / flatfield - brightness if timelapse == "multiplicative" else raw - flatfield * brightness
        np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / name), expected, rtol=1e-4, atol=1e-2)


def test_workers_change_no_byte(images, tmp_path):
    config = options_file(tmp_path, working_size=48, get_darkfield=True)
    written = []
    for workers in (1, 2, 3):
        out = tmp_path / str(workers)
        assert call("basic", images, "--output", out, "--basic-config", config, "--num-workers", workers,
                    cwd=tmp_path).code == 0
        written.append({name: data for name, data in files_below(out).items() if not name.endswith(".json")})
    assert written[0] == written[1] == written[2] and len(written[0]) == 32


def test_images_that_are_not_in_the_fit_are_corrected_too(images, tmp_path):
    config = options_file(tmp_path, working_size=48, max_frames=4)
    assert call("basic", images, "--output", "out", "--output-type", "float32", "--basic-config", config,
                cwd=tmp_path).code == 0
    flatfield = tifffile.imread(tmp_path / "out" / "flatfield.tif")
    assert len(read_json(tmp_path / "out" / "basic_report.json")["baseline"]) == 4
    for path in images.glob("*.tif"):
        expected = tifffile.imread(path).astype(np.float32) / flatfield
        np.testing.assert_allclose(tifffile.imread(tmp_path / "out" / path.name), expected, rtol=1e-6)


def test_memory_of_a_folder_is_that_of_the_images_in_the_fit(tmp_path):
    for count in (8, 64):
        (tmp_path / str(count)).mkdir()
        for i, image in enumerate(scenes(count, 512, 512)):
            tifffile.imwrite(tmp_path / str(count) / f"{i:02}.tif", image)
    config = options_file(tmp_path, working_size=32, max_frames=4)
    peak = {count: peak_resident_bytes(PROGRAM, "basic", count, "--output", f"out{count}", "--basic-config", config,
                                       cwd=tmp_path) for count in (8, 64)}
    # 56 more images are 56 MiB as float32.
    assert peak[64] < peak[8] + 8 * 2**20, peak


def test_images_may_have_names_in_upper_case(images, tmp_path):
    shouted = tmp_path / "shouted"
    shouted.mkdir()
    for i, path in enumerate(sorted(images.iterdir())):
        (shouted / f"{path.stem}{['.TIF', '.TIFF', '.tif'][i % 3]}").symlink_to(path)
    config = options_file(tmp_path, working_size=32)
    assert call("basic", shouted, "--output", "out", "--basic-config", config, cwd=tmp_path).code == 0
    assert {path.name for path in shouted.iterdir()} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_weights_leave_pixels_out(images, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    spoiled = tmp_path / "spoiled"
    spoiled.mkdir()
    for path in images.glob("*.tif"):
        image, weight = tifffile.imread(path), np.ones((64, 80), np.uint8)
        image[20:30, 20:40], weight[20:30, 20:40] = 60000, 0
        tifffile.imwrite(spoiled / path.name, image)
        tifffile.imwrite(weights / path.name, weight)
    config = options_file(tmp_path, working_size=None, sort_intensity=False)
    error = {}
    for name, extra in [("without", []), ("with", ["--weights-dir", weights])]:
        assert call("basic", spoiled, "--output", tmp_path / name, "--basic-config", config, *extra,
                    cwd=tmp_path).code == 0
        flatfield = tifffile.imread(tmp_path / name / "flatfield.tif")
        ratio = flatfield / light(64, 80)
        error[name] = np.abs(ratio[20:30, 20:40].mean() / np.median(ratio) - 1)
    assert error["with"] < 0.2 < error["without"], error


def test_bad_folders_are_one_clear_error(images, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    tifffile.imwrite(tmp_path / "mixed" / "a.tif", np.ones((8, 8), np.uint8))
    tifffile.imwrite(tmp_path / "mixed" / "b.tif", np.ones((8, 9), np.uint8))
    (tmp_path / "dark").mkdir()
    for name in "abc":
        tifffile.imwrite(tmp_path / "dark" / f"{name}.tif", np.zeros((16, 16), np.uint16))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "flatfield.tif").touch()
    config = options_file(tmp_path, working_size=16)
    for folder, output, code, message in [
            (tmp_path / "missing", "out1", NOT_FOUND, "missing"), (tmp_path / "empty", "out2", BAD_INPUT, "no .tif"),
            (tmp_path / "mixed", "out3", BAD_INPUT, "8 x 9"), (tmp_path / "dark", "out4", BAD_INPUT, "flatfield"),
            (images, "full", OUTPUT_EXISTS, "flatfield.tif"), (images, images, USAGE, "input folder")]:
        result = call("basic", folder, "--output", output, "--basic-config", config, cwd=tmp_path)
        assert (result.code, len(result.error_lines)) == (code, 1), result.err
        assert message in result.error_lines[0]
    assert call("basic", images, "--output", "out", "--basic-config", options_file(tmp_path, epsilo=1),
                cwd=tmp_path).code == USAGE
    assert call("basic", images, "--output", "full", "--overwrite", "--basic-config",
                options_file(tmp_path, working_size=16), cwd=tmp_path).code == 0


@pytest.fixture
def corrected(images, tmp_path):
    """Results of an earlier call, and their bytes."""
    assert call("basic", images, "--output", "out", "--basic-config", options_file(tmp_path, working_size=48),
                cwd=tmp_path).code == 0
    return tmp_path / "out", files_below(tmp_path / "out")


def assert_keeps(corrected, code, message, *words):
    """`basic ... --output OUT --overwrite` is one error that says `message`, and leaves the earlier results in OUT."""
    out, before = corrected
    result = call("basic", *words, "--output", out, "--overwrite", "--basic-config", out.parent / "basic.json",
                  cwd=out.parent)
    assert (result.code, len(result.error_lines)) == (code, 1), result.err
    assert message in result.error_lines[0]
    assert files_below(out) == before


def copies(images, folder):
    folder.mkdir()
    for path in images.glob("*.tif"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("which", ["images", "weights"])
def test_file_of_several_images_is_refused_before_anything_is_removed(images, corrected, tmp_path, which):
    folder = copies(images, tmp_path / "copies")
    tifffile.imwrite(folder / "image_07.tif", np.ones((3, 64, 80), np.uint16), photometric="minisblack")
    words = [folder] if which == "images" else [images, "--weights-dir", folder]
    assert_keeps(corrected, UNSUPPORTED, "expected one image, found 3", *words)


@pytest.mark.parametrize("which", ["images", "weights"])
def test_image_that_cannot_be_read_is_refused_before_anything_is_removed(images, corrected, tmp_path, which):
    folder = copies(images, tmp_path / "copies")
    words = [folder] if which == "images" else [images, "--weights-dir", folder]
    tifffile.imwrite(folder / "image_07.tif", np.ones((64, 80), np.uint32))
    assert_keeps(corrected, UNSUPPORTED, "uint32", *words)
    (folder / "image_07.tif").write_bytes((images / "image_07.tif").read_bytes()[:300])
    assert_keeps(corrected, BAD_INPUT, "image_07.tif", *words)


def test_weights_and_images_that_are_read_are_not_replaced(images, corrected, tmp_path):
    out, _ = corrected
    assert_keeps(corrected, USAGE, "the output folder is the folder of the weights", images, "--weights-dir", out)
    folder = copies(images, tmp_path / "copies")
    (folder / "image_07.tif").unlink()
    (folder / "image_07.tif").symlink_to(out / "image_03.tif")
    for words in ([folder], [images, "--weights-dir", folder]):
        assert_keeps(corrected, USAGE, "through a link", *words)


@pytest.mark.parametrize("mode", ["ladmap", "approximate"])
def test_flatfield_that_is_not_positive_is_refused_with_how_much_of_it(corrected, tmp_path, mode):
    """Half of each image is black, and smoothing makes the edge ripple below 0."""
    (tmp_path / "dark").mkdir()
    for i, image in enumerate(scenes(20, 64, 80)):
        image[:, :40] = 0
        tifffile.imwrite(tmp_path / "dark" / f"image_{i:02}.tif", image)
    options_file(tmp_path, working_size=None, fitting_mode=mode, smoothness_flatfield=1)
    assert_keeps(corrected, BAD_INPUT, "of 5120 pixels of the flatfield that was found are not greater than 0", "dark")
    assert call("basic", "dark", "--output", "new", "--basic-config", "basic.json", cwd=tmp_path).code == BAD_INPUT
    assert not (tmp_path / "new").exists()


def test_folder_with_the_name_of_a_result_stays(images, tmp_path):
    (tmp_path / "out" / "darkfield.tif").mkdir(parents=True)
    result = call("basic", images, "--output", "out", "--overwrite", cwd=tmp_path)
    assert (result.code, len(result.error_lines)) == (OUTPUT_EXISTS, 1), result.err
    assert "darkfield.tif" in result.error_lines[0] and (tmp_path / "out" / "darkfield.tif").is_dir()


def test_links_that_form_a_loop_and_names_that_are_too_long_are_reading_that_failed(images, tmp_path):
    (tmp_path / "loop").mkdir()
    for path in images.glob("*.tif"):
        (tmp_path / "loop" / path.name).symlink_to(path.name)
    for words, message in [(["loop"], "image_"), (["x" * 300], "xxx"), ([images, "--weights-dir", "loop"], "image_")]:
        result = call("basic", *words, "--output", "out", cwd=tmp_path)
        assert (result.code, len(result.error_lines)) == (READ_FAILED, 1), result.err
        assert message in result.error_lines[0] and not (tmp_path / "out").exists()


def test_call_without_images_is_a_usage_error(tmp_path):
    result = call("basic", "--output", "out", cwd=tmp_path)
    assert (result.code, len(result.error_lines)) == (USAGE, 1), result.err
    assert "INPUT is missing" in result.error_lines[0] and not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------
# Tiles


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    """A phantom with known illumination in y and x alone, as BaSiC assumes it."""
    folder = tmp_path_factory.mktemp("phantom")
    assert call("synth", folder, "--name", NAME, "--shape", "128,192,224", "--is-binned", "--n-levels", 1,
                "--foreground", 300, "--illumination", 0.4, cwd=folder).code == 0
    return folder / NAME


def relative_error(flatfield, tile):
    """Of the flatfield against the truth, both relative to their means, over the pixels that tissue covers."""
    truth = read_json(tile.with_name(f"{NAME}.truth.json"))
    expected = np.outer(truth["fy"], truth["fx"])
    return np.abs(flatfield / flatfield.mean() / (expected / expected.mean()) - 1)


@pytest.mark.parametrize("masked", [False, True])
def test_flatfield_of_a_phantom_is_found(synthetic, tmp_path, masked):
    config = options_file(tmp_path, working_size=128)
    made = correct(synthetic, tmp_path, "--method", "basicpy", "--basic-config", config, "--is-binned",
                   "--save-outputs", "--num-workers", 2, masks=None if masked else False)
    flatfield, background = (tifffile.imread(made.results / f"{NAME}_{name}.tif") for name in ("flatfield", "bkg"))
    error = relative_error(flatfield, synthetic)
    print(f"error of the flatfield: median {np.median(error):.4f}, 95 % {np.percentile(error, 95):.4f}")
    assert np.median(error) < 0.03 and np.percentile(error, 95) < 0.1
    v = np.maximum(read_volume(synthetic).astype(np.float32) - background, 0)
    np.testing.assert_array_equal(read_volume(made.corrected),
                                  np.rint(np.clip(v / flatfield, 0, 65535)).astype(np.uint16))
    baseline = read_json(made.results / f"{NAME}_baseline.json")
    assert len(baseline["baseline"]) == len(baseline["planes"]) == (100 if masked else 128)
    assert not tifffile.imread(made.results / f"{NAME}_darkfield.tif").any()
    assert made.quality["verdict"] in ("pass", "warn"), made.quality["reasons"]
    assert made.quality["numbers"]["flat_std"]["value"] == pytest.approx(flatfield.std() / flatfield.mean(), rel=1e-4)
    assert read_json(made.results / f"basic_config_{NAME}.json")["working_size"] == 128


def test_darkfield_is_subtracted_before_the_division(synthetic, tmp_path):
    config = options_file(tmp_path, working_size=64, get_darkfield=True, max_frames=40)
    made = correct(synthetic, tmp_path, "--method", "basicpy", "--basic-config", config, "--is-binned",
                   "--skip-bkg-sub", "--pedestal", 20, "--save-outputs", masks=False)
    flatfield, darkfield = (tifffile.imread(made.results / f"{NAME}_{name}.tif") for name in ("flatfield", "darkfield"))
    assert darkfield.any()
    v = np.maximum(read_volume(synthetic).astype(np.float32) - np.float32(20), 0)
    np.testing.assert_array_equal(read_volume(made.corrected),
                                  np.rint(np.clip((v - darkfield) / flatfield, 0, 65535)).astype(np.uint16))
    planes = read_json(made.results / f"{NAME}_baseline.json")["planes"]
    assert len(planes) == 40 and planes == [(2 * i + 1) * 128 // 80 for i in range(40)]


def test_frames_are_those_of_the_largest_mask(tmp_path):
    counts, _ = phantom((130, 40, 48))
    mask = np.zeros(counts.shape, bool)
    area = np.random.default_rng(4).permutation(130)
    for z in range(130):
        mask[z].flat[:area[z]] = True
    tile = write_tile(tmp_path / NAME, counts, (32, 32, 32))
    write_mask(tmp_path / "masks" / f"a_{NAME}_pred.tif", mask)
    made = correct(tile, tmp_path, "--method", "basicpy", "--is-binned", "--save-outputs", "--basic-config",
                   options_file(tmp_path, working_size=16))
    assert read_json(made.results / f"{NAME}_baseline.json")["planes"] == sorted(np.argsort(-area)[:100].tolist())


def test_tile_without_a_mask_is_fitted_without_weights_and_a_warning(synthetic, tmp_path):
    (tmp_path / "none").mkdir()
    made = correct(synthetic, tmp_path, "--method", "basicpy", "--is-binned", "--basic-config",
                   options_file(tmp_path, working_size=32), masks=tmp_path / "none")
    assert any("without weights" in line for line in made.result.warnings)
    assert made.report["status"] == "corrected" and not made.mask.exists()


def test_tile_with_an_empty_mask_is_fitted_as_one_without_a_mask(synthetic, tmp_path):
    """Planes of the largest of masks that are all empty would be the first ones, which are often the end of the sample."""
    write_mask(tmp_path / "empty" / f"a_{NAME}_pred.tif", np.zeros((16, 24, 28), bool))
    options = ["--method", "basicpy", "--is-binned", "--save-outputs", "--basic-config",
               options_file(tmp_path, working_size=32, max_frames=20)]
    empty = correct(synthetic, tmp_path / "with", *options, masks=tmp_path / "empty")
    assert any("is empty: BaSiC is fitted without weights" in line for line in empty.result.warnings)
    without = correct(synthetic, tmp_path / "without", *options, masks=False)
    np.testing.assert_array_equal(read_volume(empty.corrected), read_volume(without.corrected))


def test_autotune_chooses_the_smoothness(synthetic, tmp_path):
    made = correct(synthetic, tmp_path, "--method", "basicpy", "--is-binned", "--basic-config",
                   options_file(tmp_path, working_size=32, max_frames=12, autotune=True), masks=False)
    (line,) = [line for line in made.result.err.splitlines() if "autotune" in line]
    chosen = float(line.rsplit(" ", 1)[1])
    assert min(abs(chosen / 10 ** (-3 + 4 * i / 14) - 1) for i in range(15)) < 1e-9


# ---------------------------------------------------------------------------------------------
# Images that hold nothing to learn from


def constant(value, count=6, shape=(32, 40)):
    return np.full((count, *shape), value, np.uint16)


DEGENERATE = {  # images, options, and whether one error is right (else a result, with a warning where True)
    "one frame": (lambda: scenes(1, 32, 40), "any"),
    "two frames": (lambda: scenes(2, 32, 40), "result"),
    "frames smaller than 10 pixels": (lambda: scenes(8, 7, 6), "any"),
    "single pixels": (lambda: scenes(8, 1, 1), "any"),
    "constant frames": (lambda: constant(500), "any"),
    "black frames": (lambda: constant(0), "error"),
    "saturated frames": (lambda: constant(65535), "any"),
    "saturated in places": (lambda: np.where(scenes(10, 32, 40) > 600, 65535, scenes(10, 32, 40)).astype(np.uint16),
                            "any"),
    "NaN": (lambda: np.where(np.arange(40) == 7, np.nan, scenes(6, 32, 40)).astype(np.float32), "error"),
    "infinity": (lambda: np.where(np.arange(40) == 7, np.inf, scenes(6, 32, 40)).astype(np.float32), "error"),
}


@pytest.mark.parametrize("mode", ["ladmap", "approximate"])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_images_with_nothing_to_learn_from_give_a_result_or_one_line(kind, mode, tmp_path):
    make, expected = DEGENERATE[kind]
    (tmp_path / "in").mkdir()
    for i, image in enumerate(make()):
        tifffile.imwrite(tmp_path / "in" / f"{i}.tif", image)
    result = call("basic", "in", "--output", "out", "--output-type", "float32", "--basic-config",
                  options_file(tmp_path, working_size=32, fitting_mode=mode), cwd=tmp_path)
    if result.code != 0:
        assert expected != "result", result.err
        assert result.code == BAD_INPUT and len(result.error_lines) == 1, result.err
        assert not (tmp_path / "out" / "basic_report.json").exists()
        return
    assert expected != "error"
    flatfield = tifffile.imread(tmp_path / "out" / "flatfield.tif")
    assert np.isfinite(flatfield).all()
    report = read_json(tmp_path / "out" / "basic_report.json")
    assert report["converged"] or report["warnings"]


@pytest.mark.parametrize("weight", [0, 1, 7])
def test_weights_that_are_all_the_same_count_as_ones(images, tmp_path, weight):
    (tmp_path / "weights").mkdir()
    for path in images.glob("*.tif"):
        tifffile.imwrite(tmp_path / "weights" / path.name, np.full((64, 80), weight, np.uint8))
    config = options_file(tmp_path, working_size=48)
    flatfields = []
    for name, extra in [("with", ["--weights-dir", "weights"]), ("without", [])]:
        assert call("basic", images, "--output", name, "--basic-config", config, *extra, cwd=tmp_path).code == 0
        flatfields.append(tifffile.imread(tmp_path / name / "flatfield.tif"))
    np.testing.assert_array_equal(*flatfields)
