"""A phantom tile that the Python package corrects, and what that makes of it."""
import os

import pytest

from support.module import flatfield

FITTING = dict(gaussian_sigma=1.0, spline_smoothing=0.05)


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """A phantom tile of uint16; its masks are beside it."""
    return flatfield.synthesize(tmp_path_factory.mktemp("phantom"), shape=[96, 128, 144], chunks=[16, 32, 48], n_levels=4)


def options_for(tile, folder, **more):
    return dict(zarr=tile, output=folder / "out" / "SPIM.ome.zarr", mask_dir=os.path.join(os.path.dirname(tile), "masks"),
                results_dir=folder / "results", n_levels=3, fitting=FITTING, **more)


@pytest.fixture(scope="module")
def corrected(tile, tmp_path_factory):
    """The phantom corrected by run(): (folder, run report)."""
    folder = tmp_path_factory.mktemp("run")
    return folder, flatfield.run(**options_for(tile, folder))


def image_of(folder, tile, kind=""):
    return folder / "out" / kind / "SPIM.ome.zarr" / os.path.basename(tile)


def contents(folder):
    """Every file of an image by its relative path, but for what holds times."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in (".zattrs", "zarr.json", ".exaspim_flatfield_checksums.npz")}
