"""The pages of the report: what they say is true, and a browser shows it without asking for anything else."""
import base64
import io
import re
import shutil
import subprocess

import numpy as np
import PIL.Image
import pytest
import tifffile

from support.browser import Browser, data_of
from support.program import QUALITY_FAILED, REPOSITORY, attempt, call, correct, read_volume
from support.tiles import phantom, phantom_tile, write_mask, write_tile

SHAPE = (64, 96, 96)
NAME = "tile_000001_ch_488.zarr"
CHARTS = ["curve_z", "curve_y", "curve_x", "evenness_z", "evenness_y", "evenness_x", "histogram_input",
          "histogram_corrected", "plane_deviation", "plane_mean", "corrected_mean"]


@pytest.fixture(scope="module")
def browser():
    opened = Browser()
    yield opened
    opened.close()


def synthetic_tile(folder, name=NAME):
    """A phantom that is learnt from at full size, and corrected well."""
    folder.mkdir(parents=True, exist_ok=True)
    result = call("synth", folder, "--name", name, "--shape", ",".join(map(str, SHAPE)), "--is-binned", "--n-levels", "3",
                  "--seed", "3", cwd=folder)
    assert result.code == 0, result.err
    return folder / name


def put_wrong_mask(tile, folder):
    """The mask of a tile in another place, as if it were that of another tile."""
    identifier = tile.name.split("_ch_")[0]
    (path,) = (tile.parent / "masks").glob(f"*{identifier}_*.tif")
    mask = tifffile.imread(path)
    return write_mask(folder / path.name, np.roll(mask, mask.shape[2] // 2, 2))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return correct(synthetic_tile(folder / "in"), folder, "--is-binned", "--save-outputs", "--num-workers", "2")


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """The same tile with the mask of another."""
    folder = tmp_path_factory.mktemp("bad")
    tile = synthetic_tile(folder / "in")
    put_wrong_mask(tile, folder / "masks")
    return correct(tile, folder, "--is-binned", "--save-outputs", masks=folder / "masks")


def page_of(correction):
    return correction.results / f"{correction.tile}_report.html"


def series(volume, group, chart, name):
    (found,) = [c for c in volume["charts"][group] if c["id"] == chart]
    (values,) = [s for s in found["series"] if s["name"] == name]
    return np.array(values["x"], float), np.array([np.nan if y is None else y for y in values["y"]], float)


def picture(entry):
    return np.asarray(PIL.Image.open(io.BytesIO(base64.b64decode(entry["png"])))).astype(int)


# ---------------------------------------------------------------------------------------------
# What the pages say


def test_the_charts_of_a_report_show_the_input_and_what_was_written(good):
    (volume,) = data_of(page_of(good))["volumes"]
    raw = read_volume(good.folder / "in" / NAME).astype(float)
    corrected = read_volume(good.corrected).astype(float)
    mask = read_volume(good.mask).astype(bool)
    z, mean = series(volume, "plane_statistics", "plane_mean", "input")
    np.testing.assert_allclose(z, np.arange(SHAPE[0]) * volume["scale"][0], rtol=1e-5)
    np.testing.assert_allclose(mean, raw.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(series(volume, "plane_statistics", "corrected_mean", "corrected")[1],
                               corrected.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(series(volume, "plane_statistics", "plane_deviation", "input")[1],
                               raw.std((1, 2)), rtol=1e-5)
    for axis, name in enumerate("zyx"):
        others = tuple(a for a in range(3) if a != axis)
        count = mask.sum(others)
        expected = np.where(count > 0, (corrected * mask).sum(others) / np.maximum(count, 1), np.nan)
        places, after = series(volume, "evenness", f"evenness_{name}", "after")
        np.testing.assert_allclose(places, np.arange(SHAPE[axis]) * volume["scale"][axis], rtol=1e-5)
        np.testing.assert_allclose(after, expected / np.nanmean(expected), rtol=1e-5)
    for counts, shares in ((corrected[mask], series(volume, "histograms", "histogram_corrected", "inside the mask")),
                           (raw[~mask], series(volume, "histograms", "histogram_input", "outside the mask"))):
        width = shares[0][1] - shares[0][0]
        edges = np.append(shares[0] - width / 2, shares[0][-1] + width / 2)
        expected = np.histogram(counts, edges)[0] / counts.size / width
        np.testing.assert_allclose(np.nan_to_num(shares[1]), expected, rtol=1e-5)


def test_the_pictures_of_a_report_show_the_middle_planes_at_one_contrast(good):
    (volume,) = data_of(page_of(good))["volumes"]
    raw, corrected = read_volume(good.folder / "in" / NAME), read_volume(good.corrected)
    for axis, cut in enumerate(volume["cuts"]):
        assert cut["index"] == SHAPE[axis] // 2
        for key, levels, (lo, hi) in (("input", raw, volume["contrast"]["input"]),
                                      ("corrected", corrected, volume["contrast"]["after"])):
            plane = np.take(levels, cut["index"], axis).astype(float)
            expected = np.clip((plane - lo) / (hi - lo), 0, 1) * 255
            assert np.abs(picture(cut[key]) - expected).max() <= 1
    # White is the same brightness of tissue before and after, and hardly any tissue is brighter.
    (background,) = volume["planes"]
    span = volume["contrast"]["input"][1] - volume["contrast"]["input"][0]
    assert volume["contrast"]["after"][1] == pytest.approx(span * volume["ratio"], rel=1e-4)
    assert background["range"][0] < volume["contrast"]["input"][0] < background["range"][1]
    assert np.percentile(corrected, 99) < volume["contrast"]["after"][1] <= np.percentile(corrected, 99.9)


def test_the_report_holds_the_numbers_of_the_run_report_and_explains_each(good):
    data = data_of(page_of(good))
    assert data["record"]["qc"] == good.report["qc"]
    explained = [number["name"] for question in data["guide"] for number in question["numbers"]]
    assert sorted(explained) == sorted(good.quality["numbers"])
    assert set(data["changed"]) >= {"zarr", "output", "is_binned", "save_outputs"}
    assert "n_levels" not in data["changed"]


def test_the_same_pictures_come_of_any_number_of_workers(good, tmp_path):
    other = correct(good.folder / "in" / NAME, tmp_path, "--is-binned", "--report", "--num-workers", "3")
    assert data_of(page_of(other))["volumes"] == data_of(page_of(good))["volumes"]


def test_reports_are_written_with_save_outputs_or_report_and_not_with_no_report(tmp_path):
    tile = phantom_tile(tmp_path / "in", (16, 24, 24), (8, 16, 16), name=NAME)

    def pages(*options):
        run = correct(tile, tmp_path / "_".join(options or ["none"]), "--is-binned", *options)
        return sorted(path.name for path in run.results.glob("*.html"))
    assert pages() == []
    assert pages("--save-outputs") == pages("--report") == [f"{NAME}_report.html"]
    assert pages("--save-outputs", "--no-report") == []


def test_a_tile_that_fails_has_a_report_that_says_why(tmp_path):
    tile = synthetic_tile(tmp_path / "in")
    put_wrong_mask(tile, tmp_path / "masks")
    run = attempt(tile, tmp_path, "--is-binned", "--report", "--on-qc-fail", "error", masks=tmp_path / "masks")
    assert run.result.code == QUALITY_FAILED
    data = data_of(page_of(run))
    assert data["record"]["status"] == "failed"
    assert data["record"]["reason"].startswith("quality: ")
    assert len(data["volumes"]) == 1  # with pictures of what was refused


def test_text_from_outside_cannot_leave_its_place_in_a_page(tmp_path):
    name = "tile_000001_ch_488<script>alert(1)<!--.zarr"
    run = correct(phantom_tile(tmp_path / "in", (16, 24, 24), (8, 16, 16), name=name), tmp_path, "--is-binned", "--report")
    text = page_of(run).read_text(encoding="utf-8")
    assert "<script>alert" not in text and "<!--" not in re.sub(r"<!--\w+-->", "", text)
    assert data_of(page_of(run))["tile"] == name


# ---------------------------------------------------------------------------------------------
# What a browser makes of them


def blank_charts(browser):
    """Charts on which nothing was drawn in the colours of their lines."""
    return browser.run("""
        const blank = [];
        for (const chart of document.querySelectorAll('.chart')) {
          const canvas = chart.querySelector('canvas');
          const still = chart.querySelector('svg.still');
          let drawn = 0;
          if (canvas) {
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            for (let i = 0; i < data.length; i += 4)
              if (data[i + 3] > 128 && data[i] < 0x90 && (data[i] !== data[i + 1] || data[i + 2] > data[i] || data[i] > 0x40)) ++drawn;
          } else if (still) {
            for (const path of still.querySelectorAll('path')) drawn += path.getTotalLength();
          }
          if (drawn < 60) blank.push([chart.id, drawn]);
        }
        return blank;""")


def drawn_charts(browser, kind):
    return browser.run("return [...document.querySelectorAll('.chart')].filter((c) => c.querySelector(arguments[0])).map((c) => c.id)", kind)


def without_library(page, to):
    """The page as a build without npm makes it: with an empty chart library."""
    text = page.read_text(encoding="utf-8")
    empty = re.sub(r'(<script id="chart-library">).*?(</script>)', r"\1\2", text, flags=re.S)
    to.write_text(empty, encoding="utf-8")
    return to


def has_library(page):
    return "uPlot" in page.read_text(encoding="utf-8").split('<script id="chart-library">', 1)[1][:3000]


def looks_right(browser, page, width, kind):
    browser.open(page, width)
    assert browser.complaints() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert drawn_charts(browser, kind) == CHARTS
    assert blank_charts(browser) == []
    broken = browser.run("return [...document.images].filter((i) => !i.complete || i.naturalWidth === 0).map((i) => i.alt)")
    assert broken == []
    assert browser.run("return document.images.length") == 13
    sizes = browser.run("return [...document.querySelectorAll('.pictures')].map((row) => [...row.querySelectorAll('.picture')]"
                        ".map((p) => `${p.clientWidth}x${p.clientHeight}`))")
    assert [len(set(row)) for row in sizes] == [1, 1, 1]
    # What stands on a picture or below it is not cut off by its edges.
    assert browser.run("""return [...document.querySelectorAll('.picture')].filter((p) => {
        const scale = p.querySelector('.scale').getBoundingClientRect(), box = p.getBoundingClientRect();
        return !p.classList.contains('thin') && (scale.top < box.top || scale.right > box.right || scale.bottom > box.bottom);
      }).length""") == 0
    assert browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 800])
def test_a_browser_draws_the_whole_report_and_asks_for_nothing_else(browser, good, width):
    page = page_of(good)
    if not has_library(page):
        pytest.skip("this build has no chart library: npm could not fetch it")
    looks_right(browser, page, width, "canvas")


@pytest.mark.parametrize("width", [1280, 800])
def test_without_the_chart_library_every_chart_is_a_still_picture(browser, good, tmp_path, width):
    looks_right(browser, without_library(page_of(good), tmp_path / "still.html"), width, "svg.still")


def test_the_scale_of_a_picture_of_few_planes_is_below_it(browser, tmp_path):
    run = correct(phantom_tile(tmp_path / "in", (6, 96, 96), (6, 32, 32), name=NAME), tmp_path, "--is-binned", "--report")
    looks_right(browser, page_of(run), 1280, "canvas" if has_library(page_of(run)) else "svg.still")
    below = browser.run("return [...document.querySelectorAll('.cut .picture.thin')].map((p) => "
                        "p.querySelector('.scale').getBoundingClientRect().top >= p.getBoundingClientRect().bottom)")
    assert below == [True] * 8  # xz and yz


def test_charts_can_be_zoomed_and_read_off(browser, good):
    page = page_of(good)
    if not has_library(page):
        pytest.skip("this build has no chart library: npm could not fetch it")
    browser.open(page)
    (volume,) = data_of(page)["volumes"]
    x, y = series(volume, "plane_statistics", "plane_mean", "input")
    browser.point_at("#plane_mean .u-over", 0.5, 0.5)
    shown = browser.run("return [...document.querySelectorAll('#plane_mean .u-legend .u-value')].map((v) => v.textContent)")
    place = int(round(float(shown[0]) / volume["scale"][0]))
    assert float(shown[0]) == pytest.approx(x[place], rel=5e-3)
    assert float(shown[1]) == pytest.approx(y[place], rel=5e-3)
    browser.point_at("#plane_mean .u-over", 0.25, 0.5, "mousePressed", button="left", clickCount=1)
    browser.point_at("#plane_mean .u-over", 0.5, 0.5, buttons=1, button="left")
    browser.point_at("#plane_mean .u-over", 0.5, 0.5, "mouseReleased", button="left", clickCount=1)
    browser.point_at("#plane_mean .u-over", 0.999, 0.5)
    last = browser.run("return document.querySelector('#plane_mean .u-legend .u-value').textContent")
    assert float(last) < 0.6 * x[-1]


def test_pictures_can_be_read_off(browser, good):
    browser.open(page_of(good))
    (volume,) = data_of(page_of(good))["volumes"]
    browser.point_at(".picture img", 0.5, 0.5)
    text = browser.run("return document.querySelector('.cut .readout').textContent")
    counts = [float(number) for number in re.findall(r"(?:Input|After) [≤≥ ]*(-?[\d.]+)", text)]
    plane = [read_volume(good.folder / "in" / NAME), read_volume(good.corrected)]
    for value, level, key in zip(counts, plane, ("input", "after")):
        step = (volume["contrast"][key][1] - volume["contrast"][key][0]) / 255
        around = level[SHAPE[0] // 2, SHAPE[1] // 2 - 1:SHAPE[1] // 2 + 2, SHAPE[2] // 2 - 1:SHAPE[2] // 2 + 2].astype(float)
        assert around.min() - step - 1 <= value <= around.max() + step + 1
    assert len(counts) == 2


def test_the_report_of_a_good_correction_begins_with_a_tick(browser, good):
    browser.open(page_of(good))
    assert browser.run("return document.querySelector('.banner').textContent") == "✓All quality numbers pass"
    assert browser.run("return document.querySelectorAll('#quality .verdict.fail, #quality .verdict.warn').length") == 0


def test_the_report_of_a_bad_correction_says_so_first(browser, bad):
    browser.open(page_of(bad))
    assert browser.complaints() == []
    banner = browser.run("return document.querySelector('.banner').textContent")
    assert "do not use this result" in banner
    # In colours and without: the word, the mark and white on dark.
    assert banner.startswith("✕")
    first = browser.run("return document.querySelector('#warnings li').textContent")
    assert first.startswith("✕") and "the mask does not fit the tile" in first
    assert browser.run("return document.querySelector('#warnings').getBoundingClientRect().top") < 400
    assert browser.run("return document.querySelectorAll('#quality .verdict.fail').length") >= 1


def test_a_bad_correction_is_seen_in_print_without_backgrounds(browser, bad):
    browser.open(page_of(bad))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for part in (".banner", "#quality .verdict.fail"):
            style = browser.run("const s = getComputedStyle(document.querySelector(arguments[0])); return [s.color, s.borderTopWidth]", part)
            assert sum(int(number) for number in re.findall(r"\d+", style[0])[:3]) < 200 and float(style[1].removesuffix("px")) >= 3, part
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_tile_of_several_channels_has_a_part_for_each(browser, tmp_path):
    counts = np.stack([phantom((16, 24, 24), seed)[0] for seed in (1, 2)])
    mask = phantom((16, 24, 24))[1]
    write_mask(tmp_path / "in" / "masks" / "asset_tile_000001_ch_488.zarr_pred.tif", mask)
    tile = write_tile(tmp_path / "in" / NAME, counts, (1, 8, 16, 16), axes="czyx")
    run = correct(tile, tmp_path, "--is-binned", "--report")
    browser.open(page_of(run))
    assert browser.complaints() == []
    assert [volume["label"] for volume in data_of(page_of(run))["volumes"]] == [f"{NAME}_t0_c0", f"{NAME}_t0_c1"]
    assert browser.run("return document.querySelectorAll('.cuts').length") == 2


def test_a_tile_of_which_a_channel_fell_back_says_so_first_and_each_warning_once(browser, tmp_path):
    counts, mask = phantom((16, 24, 24))
    write_mask(tmp_path / "in" / "masks" / "asset_tile_000001_ch_488.zarr_pred.tif", mask)
    tile = write_tile(tmp_path / "in" / NAME, np.stack([np.zeros_like(counts), counts]), (1, 8, 16, 16), axes="czyx")
    run = correct(tile, tmp_path, "--is-binned", "--report")
    browser.open(page_of(run))
    banner = browser.run("return document.querySelector('.banner').textContent")
    assert "Of some volumes only the background was subtracted" in banner and "t0_c0: the mask is empty" in banner
    shown = browser.run("return [...document.querySelectorAll('#warnings li')].map((item) => item.textContent)")
    reasons = [reason for block in run.report["qc"].values() for reason in block["reasons"]]
    assert all(sum(text.endswith(reason) for text in shown) == reasons.count(reason) for reason in reasons), (shown, reasons)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Three tiles: corrected, with the mask of another, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("batch")
    names = [f"tile_00000{i}_ch_488.zarr" for i in (1, 2, 3)]
    for name in names:
        tile = synthetic_tile(folder / "in", name)
        if name == names[1]:
            put_wrong_mask(tile, tile.parent / "masks")
    for chunk in (folder / "in" / names[2] / "0").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    (folder / "batch.json").write_text('{"tile_paths": [' + ", ".join(f'"in/{n}"' for n in names) + "]}")
    result = call("run", "--config", "batch.json", "--output", "out/SPIM.ome.zarr", "--mask-dir", "in/masks", "--is-binned",
                  "--results-dir", "results", "--save-outputs", cwd=folder)
    assert result.code == 11, result.err
    return folder / "results", names


@pytest.mark.parametrize("width", [1280, 800])
def test_the_page_of_a_batch_lists_the_worst_tiles_first_and_leads_to_their_reports(browser, batch, width):
    results, names = batch
    browser.open(results / "index.html", width)
    assert browser.complaints() == []
    assert browser.requests() == [(results / "index.html").resolve().as_uri()]
    assert browser.run("return document.querySelector('.banner').textContent") == "✕2 of 3 tiles failed (1 in quality, 1 stopped by an error)"
    rows = browser.run("return [...document.querySelectorAll('#tiles tbody tr')].map((r) => [r.className, r.querySelector('a').textContent])")
    assert [kind for kind, _ in rows] == ["fail", "fail", ""]
    assert rows[2][1] == names[0]
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("const { scrollWidth, clientWidth } = document.querySelector('#tiles table').parentElement; return scrollWidth <= clientWidth")
    links = browser.run("return [...document.querySelectorAll('#tiles a')].map((a) => a.href)")
    assert sorted(links) == [(results / f"{name}_report.html").resolve().as_uri() for name in names]
    browser.run("document.querySelector('#tiles tbody tr:last-child a').click()")
    browser.settle()
    assert browser.run("return document.querySelector('h1').textContent") == names[0]


def banner_of(browser, results):
    browser.open(results / "index.html", 1280)
    assert browser.complaints() == []
    return browser.run("return document.querySelector('.banner').textContent")


def test_the_page_of_a_batch_that_goes_on_judges_the_tiles_of_before_too(browser, batch):
    results, names = batch
    folder = results.parent
    again = ["run", "--config", "batch.json", "--output", "out/SPIM.ome.zarr", "--mask-dir", "in/masks", "--is-binned",
             "--results-dir", "again", "--report"]
    assert call(*again, cwd=folder).code == 11
    assert banner_of(browser, folder / "again") == "✕2 of 3 tiles failed (1 in quality, 1 stopped by an error)"


def test_the_page_of_a_batch_of_which_nothing_is_judged_does_not_call_it_good(browser, tmp_path):
    for name in ("tile_000001_ch_488.zarr", "tile_000002_ch_488.zarr"):
        synthetic_tile(tmp_path / "in", name)
    (tmp_path / "batch.json").write_text(
        '{"tile_paths": ["in/tile_000001_ch_488.zarr", "in/tile_000002_ch_488.zarr"]}')
    result = call("run", "--config", "batch.json", "--output", "out", "--skip-flat-field", "--is-binned", "--report", cwd=tmp_path)
    assert result.code == 0, result.err
    assert banner_of(browser, tmp_path / "results") == "–No tile was judged"


def test_a_correction_that_is_rejected_is_shown_as_such(browser, tmp_path):
    tile = synthetic_tile(tmp_path / "in")
    put_wrong_mask(tile, tmp_path / "masks")
    made = correct(tile, tmp_path, "--is-binned", "--report", "--on-qc-fail", "background-only", masks=tmp_path / "masks")
    assert made.report["status"] == "background_only"
    browser.open(page_of(made), 1280)
    captions = "return [...document.querySelectorAll('.cuts figcaption')].map((c) => c.textContent)"
    assert [caption for caption in browser.run(captions) if "rejected, not written" in caption]
    # A preview writes what it shows.
    shown = call("preview", "--zarr", tile, "--output", "out", "--mask-dir", tmp_path / "masks", "--is-binned", "--on-qc-fail",
                 "background-only", "--results-dir", "preview", cwd=tmp_path)
    assert shown.code == 0, shown.err
    (page,) = (tmp_path / "preview").glob("*.html")
    browser.open(page, 1280)
    assert not [caption for caption in browser.run(captions) if "rejected" in caption]


# ---------------------------------------------------------------------------------------------
# The build


def fetch_library(folder, npm):
    """What the build says, and the library that it has then. `npm` is a script in place of npm; none = there is none."""
    tools = folder / "bin"
    tools.mkdir(parents=True)
    if npm:
        (tools / "npm").write_text("#!/bin/sh\n" + npm)
        (tools / "npm").chmod(0o755)
    done = subprocess.run([shutil.which("cmake"), f"-DPROJECT_SOURCE_DIR={REPOSITORY}", f"-DPROJECT_BINARY_DIR={folder}", "-P",
                           REPOSITORY / "cmake/chart_library.cmake"], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout, (folder / "chart_library/library.js").read_text()


def test_a_build_without_npm_or_without_its_registry_says_so_and_goes_on(tmp_path):
    said, library = fetch_library(tmp_path / "none", None)
    assert "still pictures, because npm is not installed" in said and library == ""
    said, library = fetch_library(tmp_path / "offline", "echo 'npm ERR! network is down' >&2; exit 1\n")
    assert "still pictures, because npm could not fetch it: npm ERR! network is down" in said and library == ""


def test_a_build_with_npm_takes_the_library_with_its_licence(tmp_path):
    said, library = fetch_library(tmp_path, "m=node_modules/uplot; /bin/mkdir -p $m/dist; echo 'A licence' > $m/LICENSE; "
                                            "echo 'var uPlot = 1;' > $m/dist/uPlot.iife.min.js; echo > $m/dist/uPlot.min.css\n")
    assert "with uPlot" in said and "A licence" in library and "var uPlot = 1;" in library
