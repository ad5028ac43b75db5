"""The golden cases: which tile, which settings, which file of expected arrays.

One table for the script that makes the project's golden data, for the test that runs the program
on them, and for the shared golden data made elsewhere. A setting has the name of a field of
`reference.Settings`.
"""
import dataclasses
import json
import pathlib

from reference import Settings

PROJECT_DATA = pathlib.Path(__file__).resolve().parent / "data"

# Settings that are options of the command line; the others go into the fitting configuration file.
COMMAND_LINE = {"target_level": "--res", "n_levels": "--n-levels",
                "background_smoothing_sigma": "--background-smoothing-sigma",
                "background_final_smoothing_sigma": "--background-final-smoothing-sigma",
                "corrected_rank": "--corrected-rank"}


@dataclasses.dataclass(frozen=True)
class Case:
    """`expected` is the stem of the .npz, `tile` the name of the input beside it."""
    expected: str
    tile: str
    settings: dict

    def reference_settings(self):
        return Settings(**self.settings)

    def options(self, folder):
        """The arguments of `exaspim-flatfield run` for these settings; the fitting configuration goes to `folder`."""
        arguments, fitting_config = [], {}
        for name, value in self.settings.items():
            if name == "is_binned":
                arguments += ["--is-binned"] if value else []
            elif name in COMMAND_LINE:
                arguments += [f"{COMMAND_LINE[name]}={value}"]
            else:
                fitting_config[name] = value
        if fitting_config:
            path = pathlib.Path(folder) / "fitting_config.json"
            path.write_text(json.dumps(fitting_config))
            arguments += ["--fitting-config", str(path)]
        return arguments


PROJECT_CASES = [
    # Every default, level 3 smaller than the smoothing kernel, a missing chunk, all four levels.
    Case("unbinned", "tile_x_0001_y_0002_z_0000_ch_488.zarr", dict(n_levels=4)),
    # Rejection in several rounds behind the default smoothing; more levels asked for than there can be.
    Case("binned", "tile_000005_ch_561.ome.zarr", dict(is_binned=True, n_levels=9)),
    # The same tile with every setting off its default.
    Case("binned_settings", "tile_000005_ch_561.ome.zarr", dict(
        is_binned=True, n_levels=2, corrected_rank=3, background_smoothing_sigma=0.6,
        background_final_smoothing_sigma=1.2, med_factor_binned=1.25, gaussian_sigma=0.9,
        profile_percentile=40.0, profile_min_voxels=60, spline_smoothing=0.02,
        limits_x=None, limits_y=(1, 1), limits_z=(0.7, 1.05), global_factor_binned=900.0,
        global_ratio_limits=(0.5, 1.75), exclude_background_planes_from_mask=True)),
]

# The settings are those of the README beside these files.
SHARED_CASES = [
    Case("tile_000000_fitting", "tile_000000_ch_488.zarr", dict(n_levels=4)),
    Case("tile_000007_fitting_binned", "tile_000007_ch_561.zarr", dict(is_binned=True, n_levels=3)),
    Case("tile_000042_fitting_hard", "tile_000042_ch_488.zarr", dict(
        is_binned=True, n_levels=3, background_smoothing_sigma=0, corrected_rank=-1,
        limits_x=(0.5, 1.1), limits_y=None, limits_z=(1, 1), global_ratio_limits=(0.5, 2.0))),
    Case("tile_000042_fitting_excluded", "tile_000042_ch_488.zarr", dict(
        is_binned=True, background_smoothing_sigma=0, exclude_background_planes_from_mask=True,
        spline_smoothing=0.3)),
    Case("tile_000043_fitting_allrejected", "tile_000043_ch_488.zarr", dict(
        is_binned=True, background_smoothing_sigma=0)),
]
SHARED_WEIGHTS_CASES = [
    Case("tile_000000_fitting_weights_s", "tile_000000_ch_488.zarr", dict(
        enable_gmm_refinement=True, spline_smoothing=0.05, profile_min_voxels=50)),
]
