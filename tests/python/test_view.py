"""`view` serves what belongs to a corrected tile to Neuroglancer, as a browser fetches it, and nothing else."""
import contextlib
import http.client
import json
import signal
import subprocess
import urllib.parse

import numpy as np
import numcodecs
import pytest
import zarr

from support.program import NOT_FOUND, PROGRAM, USAGE, call, correct, files_below, read_volume
from support.tiles import phantom_tile

NAME = "tile_000001_ch_488.zarr"
SHAPE, CHUNKS = (48, 56, 64), (16, 24, 32)
ORIGIN = "https://neuroglancer-demo.appspot.com"


@pytest.fixture(scope="module")
def corrected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    config = folder / "fitting.json"
    config.write_text('{"enable_gmm_refinement": true}')
    return correct(phantom_tile(folder / "in", SHAPE, CHUNKS, n_levels=2, name=NAME), folder, "--is-binned", "--n-levels", "3",
                   "--fitting-config", config)


@contextlib.contextmanager
def serving(*words, cwd):
    """A running `view`; its lines until it serves, and its port."""
    process = subprocess.Popen([str(PROGRAM), "view", *map(str, words), "--port", "0"], cwd=cwd, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        lines = []
        while not lines or not lines[-1].startswith("Serving"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines.append(line.rstrip("\n"))
        address = next(part for line in lines for part in line.split() if part.startswith("http://127.0.0.1:"))
        yield lines, urllib.parse.urlparse(address).port
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def server(corrected):
    with serving(corrected.corrected, cwd=corrected.folder) as (lines, port):
        yield lines, port


def fetch(port, path, method="GET", host=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{port}")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def state_of(lines):
    (link,) = [line for line in lines if "#!" in line]
    assert link.startswith(ORIGIN + "/#!")
    return json.loads(urllib.parse.unquote(link.split("#!", 1)[1]))


def read_through(port, source, level):
    """An array read as Neuroglancer does it: metadata, then every chunk, with a preflight and in two ranges each."""
    assert source.startswith(f"zarr://http://127.0.0.1:{port}/") and source.endswith("/")
    path = urllib.parse.urlparse(source.removeprefix("zarr://")).path
    status, headers, body = fetch(port, f"{path}{level}/.zarray", Origin=ORIGIN)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == ORIGIN
    meta = json.loads(body)
    codec = numcodecs.get_codec(meta["compressor"]) if meta["compressor"] else None
    array = np.zeros(meta["shape"], meta["dtype"])
    for index in np.ndindex(*[-(-n // c) for n, c in zip(meta["shape"], meta["chunks"])]):
        place = f"{path}{level}/" + meta.get("dimension_separator", ".").join(map(str, index))
        status, headers, _ = fetch(port, place, "OPTIONS", Origin=ORIGIN, Access_Control_Request_Method="GET",
                                   Access_Control_Request_Headers="range", Access_Control_Request_Private_Network="true")
        assert status == 204
        assert headers["Access-Control-Allow-Origin"] == ORIGIN and headers["Access-Control-Allow-Headers"] == "Range"
        assert headers["Access-Control-Allow-Private-Network"] == "true"
        status, headers, first = fetch(port, place, Origin=ORIGIN, Range="bytes=0-9")
        assert status == 206 and len(first) == 10
        size = int(headers["Content-Range"].split("/")[1])
        assert headers["Content-Range"] == f"bytes 0-9/{size}"
        assert "Content-Range" in headers["Access-Control-Expose-Headers"]
        status, headers, rest = fetch(port, place, Origin=ORIGIN, Range=f"bytes=-{size - 10}")
        assert status == 206 and headers["Content-Range"] == f"bytes 10-{size - 1}/{size}"
        raw = first + rest
        chunk = np.frombuffer(codec.decode(raw) if codec else raw, meta["dtype"]).reshape(meta["chunks"])
        box = tuple(slice(i * c, min((i + 1) * c, n)) for i, c, n in zip(index, meta["chunks"], meta["shape"]))
        array[box] = chunk[tuple(slice(0, b.stop - b.start) for b in box)]
    return array[0, 0]


def test_the_link_shows_input_corrected_mask_and_probability(server, corrected):
    lines, port = server
    state = state_of(lines)
    assert [layer["name"] for layer in state["layers"]] == ["input", "corrected", "mask", "probability"]
    assert list(state["dimensions"]) == ["x", "y", "z"]
    assert [v for v, _ in state["dimensions"].values()] == [pytest.approx(s * 1e-6) for s in (0.748, 0.748, 1.0)]
    assert state["position"] == [pytest.approx(n / 2) for n in SHAPE[::-1]]
    ranges = {layer["name"]: layer["shaderControls"]["normalized"]["range"] for layer in state["layers"]}
    for name, volume in (("input", read_volume(corrected.folder / "in" / NAME, "1")), ("corrected", read_volume(corrected.corrected, "2"))):
        assert ranges[name] == [pytest.approx(np.percentile(volume, p), rel=0.05, abs=1) for p in (1, 99.8)]
    assert ranges["mask"] == ranges["probability"] == [0, 1]


@pytest.mark.parametrize("layer, level", [("input", "0"), ("input", "1"), ("corrected", "0"), ("corrected", "2"), ("mask", "0"),
                                          ("probability", "0")])
def test_each_source_read_as_a_browser_reads_it_holds_the_values_of_the_files(server, corrected, layer, level):
    lines, port = server
    (source,) = [entry["source"] for entry in state_of(lines)["layers"] if entry["name"] == layer]
    place = {"input": corrected.folder / "in" / NAME, "corrected": corrected.corrected, "mask": corrected.mask,
             "probability": corrected.probability}[layer]
    np.testing.assert_array_equal(read_through(port, source, level), zarr.open_array(str(place / level), mode="r")[0, 0])


def test_ranges_are_those_of_the_standard(server, corrected):
    _, port = server
    path = f"/{NAME}/corrected/.zattrs"
    whole = (corrected.corrected / ".zattrs").read_bytes()
    status, headers, body = fetch(port, path)
    assert (status, body) == (200, whole) and headers["Accept-Ranges"] == "bytes"
    assert headers["Content-Type"] == "application/json"
    for header, expected in (("bytes=3-7", whole[3:8]), ("bytes=5-", whole[5:]), ("bytes=-6", whole[-6:]),
                             (f"bytes=0-{10 ** 9}", whole), (f"bytes=-{10 ** 9}", whole)):
        status, headers, body = fetch(port, path, Range=header)
        assert (status, body) == (206, expected), header
    for header in (f"bytes={len(whole)}-", "bytes=7-3", "bytes=-0", "bytes=x", "bytes=0-1,4-5", "pages=1-2"):
        status, headers, body = fetch(port, path, Range=header)
        assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{len(whole)}"), header
    status, headers, body = fetch(port, path, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(whole)))


def test_what_is_not_there_is_404_and_nothing_is_listed(server):
    _, port = server
    for path in (f"/{NAME}/corrected/0/9/9/9/9/9", f"/{NAME}/corrected/", f"/{NAME}/corrected/0/", f"/{NAME}/corrected", "/", "/other",
                 f"/{NAME}/corrected/0"):
        assert fetch(port, path)[0] == 404, path


def test_nothing_outside_the_images_can_be_read(server, corrected):
    _, port = server
    secret = corrected.folder / "secret.txt"
    secret.write_text("secret")
    link = corrected.corrected / "link.txt"
    inside = corrected.corrected / "inside.txt"
    folder_link = corrected.corrected / "linked"
    link.symlink_to(secret)
    inside.symlink_to(corrected.corrected / ".zattrs")
    folder_link.symlink_to(corrected.folder)
    try:
        up = "../" * 8
        for key in ("../../../secret.txt", "..%2f..%2f..%2fsecret.txt", "%2e%2e/%2e%2e/%2e%2e/secret.txt", f"{up}etc/passwd", f"0/{up}etc/passwd",
                    "//etc/passwd", "./.zattrs", "0/../.zattrs", "..\\..\\secret.txt", "%00", ".zattrs%00.txt", "link.txt", "linked/secret.txt",
                    "linked/in/masks"):
            status, _, body = fetch(port, f"/{NAME}/corrected/{key}")
            assert status in (403, 404) and body == b"", key
        assert fetch(port, f"/{NAME}/corrected/link.txt")[0] == 403
        assert fetch(port, f"/{NAME}/corrected/../../../secret.txt")[0] == 403
        assert fetch(port, f"/../{NAME}/corrected/.zattrs")[0] == 403
        assert fetch(port, str(secret))[0] == 404
        assert fetch(port, f"/{NAME}/corrected/inside.txt")[0] == 200
    finally:
        for path in (link, inside, folder_link, secret):
            path.unlink()


def test_pages_of_other_origins_and_names_cannot_read(server):
    _, port = server
    path = f"/{NAME}/corrected/.zattrs"
    for origin in ("https://example.org", "null", ORIGIN + ".example.org", "http://neuroglancer-demo.appspot.com"):
        _, headers, _ = fetch(port, path, Origin=origin)
        assert "Access-Control-Allow-Origin" not in headers
        assert "Access-Control-Allow-Origin" not in fetch(port, path, "OPTIONS", Origin=origin)[1]
    # A page whose name was made to mean this machine.
    assert fetch(port, path, host="example.org")[0] == 403
    assert fetch(port, path, host=f"example.org:{port}")[0] == 403
    assert fetch(port, path, host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("neuroglancer, origin, link", [
    ("https://Neuroglancer.Example.org", "https://neuroglancer.example.org", "https://Neuroglancer.Example.org/#!"),
    ("https://example.org:443/ng", "https://example.org", "https://example.org:443/ng/#!"),
    ("http://example.org:80/ng/", "http://example.org", "http://example.org:80/ng/#!"),
    ("http://example.org:443", "http://example.org:443", "http://example.org:443/#!"),
    ("http://127.0.0.1:8080/ng/index.html", "http://127.0.0.1:8080", "http://127.0.0.1:8080/ng/index.html#!"),
])
def test_another_neuroglancer_may_read_as_browsers_name_it(corrected, neuroglancer, origin, link):
    with serving(corrected.corrected, "--neuroglancer", neuroglancer, cwd=corrected.folder) as (lines, port):
        assert [line for line in lines if line.startswith(link)] != []
        assert lines[-1].startswith(f"Serving to {origin} ")
        for asked in (origin, ORIGIN):
            _, headers, _ = fetch(port, f"/{NAME}/corrected/.zattrs", Origin=asked)
            assert headers.get("Access-Control-Allow-Origin") == (origin if asked == origin else None)


def test_nothing_can_be_written_and_nonsense_is_refused(server, corrected):
    _, port = server
    before = files_below(corrected.corrected)
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert fetch(port, f"/{NAME}/corrected/.zattrs", method)[0] == 405
    assert files_below(corrected.corrected) == before
    import socket
    for nonsense in (b"\r\n\r\n", b"GET\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(nonsense)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000)
            assert connection.recv(100) == b""  # a head without end is hung up on
    assert fetch(port, f"/{NAME}/corrected/.zattrs")[0] == 200


def test_state_prints_the_json_alone(server, corrected):
    lines, port = server
    result = call("view", corrected.corrected, "--state", "--port", port, cwd=corrected.folder)
    assert result.code == 0 and json.loads(result.out) == state_of(lines)
    assert call("view", corrected.corrected, "--state", "--port", "0", cwd=corrected.folder).code == USAGE


def test_an_input_that_has_moved_is_said_and_can_be_named(corrected, tmp_path):
    moved = corrected.folder / "moved"
    (corrected.folder / "in").rename(moved)
    try:
        result = call("view", corrected.corrected, "--state", cwd=corrected.folder)
        assert [layer["name"] for layer in json.loads(result.out)["layers"]] == ["corrected", "mask", "probability"]
        assert "name it with --input" in result.err
        named = call("view", corrected.corrected, "--state", "--input", moved / NAME, cwd=corrected.folder)
        assert json.loads(named.out)["layers"][0]["name"] == "input" and named.err == ""
    finally:
        moved.rename(corrected.folder / "in")


def layers_of(result):
    assert result.code == 0, result.err
    return [layer["name"] for layer in json.loads(result.out)["layers"]]


def correct_into(output, corrected, folder, *options):
    """Corrects the tile of `corrected` once more, with another --output."""
    made = call("run", "--zarr", corrected.folder / "in" / NAME, "--mask-dir", corrected.folder / "in" / "masks", "--output", output,
                "--is-binned", "--fitting-config", corrected.folder / "fitting.json", "--results-dir", "r", *options, cwd=folder)
    assert made.code == 0, made.err
    return folder / output


@pytest.mark.parametrize("schema", [1, 2])
def test_all_that_belongs_to_an_output_that_is_named_like_the_tile_is_shown(corrected, tmp_path, schema):
    image = correct_into(f"A/{NAME}", corrected, tmp_path, "--metadata-schema", schema)
    for place, cwd in ((image, tmp_path), (NAME, image.parent), (".", image), (image.parent, tmp_path)):
        result = call("view", place, "--state", cwd=cwd)
        assert layers_of(result) == ["input", "corrected", "mask", "probability"], place
        assert result.err == ""


def test_the_mask_of_the_run_that_wrote_the_image_is_shown(corrected, tmp_path):
    correct_into("A", corrected, tmp_path)
    image = correct_into(f"A/{NAME}", corrected, tmp_path, "--overwrite")
    (tmp_path / "mask" / "A" / NAME / "0" / ".zarray").unlink()  # that of the run before could not be shown
    assert layers_of(call("view", image, "--state", cwd=tmp_path)) == ["input", "corrected", "mask", "probability"]


def test_the_mask_of_an_overwritten_run_is_not_shown(corrected, tmp_path):
    correct_into(f"A/{NAME}", corrected, tmp_path)
    image = correct_into("A", corrected, tmp_path, "--overwrite", "--skip-flat-field")
    assert (tmp_path / "A/mask" / NAME).exists()  # beside the other place
    assert layers_of(call("view", image, "--state", cwd=tmp_path)) == ["input", "corrected"]


def test_a_mask_that_was_written_and_is_not_there_is_said(corrected, tmp_path):
    image = correct_into(f"A/{NAME}", corrected, tmp_path)
    (tmp_path / "A" / "mask" / NAME).rename(tmp_path / "moved")
    result = call("view", image, "--state", cwd=tmp_path)
    assert layers_of(result) == ["input", "corrected", "probability"]
    (line,) = result.err.splitlines()
    assert f"the mask that was written with {NAME} is not at {tmp_path}/A/mask/{NAME}" in line and " or " not in line


def test_a_mask_that_no_run_wrote_is_not_missed(corrected, tmp_path):
    image = correct_into("A", corrected, tmp_path, "--skip-flat-field") / NAME
    result = call("view", image, "--state", cwd=tmp_path)
    assert layers_of(result) == ["input", "corrected"] and result.err == ""


def test_an_image_that_does_not_say_what_it_was_made_of_is_shown_alone(corrected, tmp_path):
    tile = corrected.folder / "in" / NAME
    result = call("view", tile, "--state", cwd=tmp_path)
    assert layers_of(result) == ["corrected"]
    (line,) = result.err.splitlines()
    assert "nothing says what" in line and "name it with --input" in line
    assert layers_of(call("view", tile, "--input", corrected.corrected, "--state", cwd=tmp_path)) == ["input", "corrected"]


def test_a_folder_of_tiles_and_what_holds_none(corrected, tmp_path):
    result = call("view", corrected.corrected.parent, "--state", cwd=corrected.folder)
    assert result.code == 0 and len(json.loads(result.out)["layers"]) == 4
    assert call("view", tmp_path, "--state", cwd=tmp_path).code == NOT_FOUND


def test_a_preview_is_shown_as_before_and_after(corrected, tmp_path):
    made = call("preview", "--zarr", corrected.folder / "in" / NAME, "--mask-dir", corrected.folder / "in" / "masks", "--output", "p",
                "--is-binned", "--roi", "8:40,:,:", "--results-dir", "r", cwd=tmp_path)
    assert made.code == 0, made.err
    state = json.loads(call("view", "p/tile_000001_ch_488_preview.zarr", "--state", cwd=tmp_path).out)
    assert [layer["name"] for layer in state["layers"]] == ["before", "after"]
    assert [layer["localPosition"] for layer in state["layers"]] == [[0], [1]]
