"""Inputs of the other fuzz targets: OME-NGFF, configurations, answers of S3, TIFF."""
import io
import json

import tifffile
import zarr

from corpus_arrays import DOCUMENT_V3, changed, grid_of
from corpus_inputs import put, store, values

# ---- OME-NGFF

def axes(names):
    kinds = {"t": "time", "c": "channel"}
    return [{"name": name, "type": kinds.get(name, "space"), "unit": "micrometer"} for name in names]


def multiscale(names="zyx", paths=("0", "1"), **more):
    image = {"version": "0.4", "name": "tile", "axes": axes(names), "datasets": [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [2.0 ** i] * len(names)},
                                                     {"type": "translation", "translation": [0.5] * len(names)}]}
        for i, path in enumerate(paths)]}
    return changed(image, **more)


def level(shape, dtype="|u1"):
    objects = {}
    array = zarr.create(shape=shape, chunks=[1] * (len(shape) - 3) + [2, 2, 3], dtype=dtype, compressor=None,
                        store=zarr.storage.KVStore(objects))
    array[...] = values(shape, dtype)
    return objects


def group_v2(attributes, **levels):
    objects = {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
    for path, shape in levels.items():
        for key, content in level(*shape).items():
            objects[f"{path.strip('_')}/{key}"] = content
    return objects


def group_v3(ome, **more):
    return {"zarr.json": changed({"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}, **more)}


OMERO = {"channels": [{"color": "FFFFFF", "label": "a", "window": {"min": 0, "max": 9, "start": 0, "end": 9}}]}
PLATE = {"version": "0.4", "name": "p", "field_count": 1, "rows": [{"name": "A"}, {"name": "B"}],
         "columns": [{"name": "1"}], "wells": [{"path": "A/1", "rowIndex": 0, "columnIndex": 0}],
         "acquisitions": [{"id": 0, "name": "a", "maximumfieldcount": 1, "starttime": 1, "endtime": 2}]}
WELL = {"version": "0.4", "images": [{"path": "0", "acquisition": 1}]}
LABEL = {"version": "0.4", "colors": [{"label-value": 1, "rgba": [0, 1, 2, 255]}], "properties": [{"label-value": 1}]}


def make_ome_image():
    def image(name, attributes, **levels):
        put("ome_image", name, store(group_v2(attributes, **levels)))

    two = {"_0": ((4, 5, 6), "|u1"), "_1": ((2, 3, 3), "|u1")}
    image("image_3", {"multiscales": [multiscale()], "omero": OMERO}, **two)
    image("image_16", {"multiscales": [multiscale(paths=("a/b",))]}, **{"a/b": ((3, 4, 5), "<u2")})
    image("image_5", {"multiscales": [multiscale("tczyx", ("0",))]}, _0=((1, 2, 3, 3, 4), "<u2"))
    image("image_no_axes", {"multiscales": [multiscale("tczyx", ("0",), axes=...)]}, _0=((1, 1, 2, 3, 4), "|u1"))
    image("image_names", {"multiscales": [multiscale(axes=["z", "y", "x"])]}, **two)
    image("image_old", {"multiscales": [{"version": "0.1", "datasets": [{"path": "0"}]}]}, _0=((1, 1, 2, 3, 4), "|u1"))
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [2, 2, 2]}, {"type": "identity"}]}
    image("image_whole_scale", {"multiscales": [multiscale(**whole)]}, **two)
    image("labels", {"image-label": LABEL, "labels": ["a"], "multiscales": [multiscale()]}, **two)
    image("plate", {"plate": PLATE})
    image("well", {"well": WELL})
    image("other", {"a": 1})
    for name, image_members in {
            "axes_other": {"axes": axes("qzyx")}, "axes_order": {"axes": axes("xyz")}, "axes_twice": {"axes": axes("zyy")},
            "axes_one": {"axes": axes("x")}, "axes_two": multiscale("yx"), "axes_six": multiscale("abczyx"),
            "axes_text": {"axes": "zyx"}, "axes_number": {"axes": [1, 2, 3]}, "axes_empty": {"axes": []},
            "axes_nameless": {"axes": [{"type": "space"}] * 3}, "name": {"name": 5}, "datasets": {"datasets": []},
            "datasets_missing": {"datasets": ...}, "datasets_text": {"datasets": ["0"]}, "version": {"version": "0.3"},
            "path_out": {"datasets": [{"path": "../0"}]}, "path_missing": {"datasets": [{}]},
            "path_number": {"datasets": [{"path": 1}]}, "path_absent": {"datasets": [{"path": "9"}]},
            "scale_zero": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [0, 1, 1]}]}]},
            "scale_short": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1]}]}]},
            "scale_text": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": ["1", 1, 1]}]}]},
            "scale_huge": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1e300] * 3}] * 2}]},
            "scale_twice": {"datasets": [{"path": "0"}, {"path": "0"}]},
            "transformation": {"datasets": [{"path": "0", "coordinateTransformations": [{"type": "affine"}]}]},
            "transformation_text": {"datasets": [{"path": "0", "coordinateTransformations": ["scale"]}]},
    }.items():
        image(f"bad_{name}", {"multiscales": [multiscale(**image_members)]}, _0=((2, 3, 4), "|u1"))
    image("bad_multiscales", {"multiscales": {}})
    image("bad_multiscales_empty", {"multiscales": []})
    image("bad_multiscales_text", {"multiscales": ["x"]})
    image("bad_level_axes", {"multiscales": [multiscale()]}, _0=((1, 2, 3, 4), "|u1"))
    image("bad_level_empty", {"multiscales": [multiscale()]}, _0=((0, 3, 4), "|u1"))
    image("bad_omero", {"multiscales": [multiscale()], "omero": {"channels": [{"color": 5, "window": {}}, 1]}}, **two)
    image("bad_omero_list", {"multiscales": [multiscale()], "omero": []}, **two)
    image("bad_label", {"image-label": {"version": "9", "colors": [{"label-value": 1}, {"label-value": 1, "rgba": [256]}, 3],
                                        "properties": [{"label-value": "1"}, 2]}})
    image("bad_labels", {"image-label": [], "labels": 3})
    wells = [{"path": "A/1", "rowIndex": 7, "columnIndex": 0}, {"path": "A1", "rowIndex": -1}, {"path": 1}, 5,
             {"path": "B/1", "rowIndex": 0, "columnIndex": 0}]
    bad_plate = changed(PLATE, wells=wells, rows=[{"name": "A B"}, {"name": "A B"}, 1], field_count=0,
                        acquisitions=[{"id": -1}, 1])
    image("bad_plate", {"plate": bad_plate})
    image("bad_plate_list", {"plate": []})
    image("bad_well", {"well": {"images": [{"path": "0 0", "acquisition": "x"}, 1]}})
    image("bad_well_text", {"well": "x"})
    put("ome_image", "bad_group", store({".zgroup": "{", ".zattrs": "{}"}))
    put("ome_image", "bad_attributes", store({".zgroup": {"zarr_format": 2}, ".zattrs": "[]"}))
    put("ome_image", "array", store(level((2, 3, 4))))
    put("ome_image", "nothing", b"")
    put("ome_image", "no_metadata", store({"a/b": "c"}))

    ome = {"version": "0.5", "multiscales": [multiscale(version=...)]}
    array = changed(DOCUMENT_V3, shape=[2, 3, 4], chunk_grid=grid_of([2, 3, 4]), data_type="uint8",
                    dimension_names=["z", "y", "x"])
    levels = {"0/zarr.json": array, "0/c/0/0/0": bytes(range(24)), "1/zarr.json": array}
    put("ome_image", "image_v05", store(dict(group_v3(dict(ome, omero=OMERO)), **levels)))
    put("ome_image", "plate_v05", store(group_v3({"version": "0.5", "plate": changed(PLATE, version=...)})))
    put("ome_image", "bad_plate_v05", store(group_v3({"version": "0.5", "plate": bad_plate})))
    put("ome_image", "well_v05", store(group_v3({"version": "0.5", "well": WELL})))
    put("ome_image", "label_v05", store(group_v3({"version": "0.5", "image-label": LABEL})))
    put("ome_image", "bad_v05", store(group_v3({"version": "0.4", "series": ["a"], "bioformats2raw.layout": 3})))
    put("ome_image", "bad_ome", store(group_v3("x")))
    cache = {"kind": "inline", "must_understand": False, "metadata": {"0": array}}
    for name, members in {"cache": {"consolidated_metadata": cache},
                          "cache_kind": {"consolidated_metadata": changed(cache, kind="other")},
                          "cache_text": {"consolidated_metadata": changed(cache, metadata="x")},
                          "node": {"node_type": "tree"}, "attributes": {"attributes": 5}, "extra": {"extra": 5},
                          "array": {"node_type": "array"}, "format": {"zarr_format": 4}}.items():
        put("ome_image", f"group_{name}", store(group_v3(ome, **members)))


# ---- configurations

def make_configuration():
    run = {"zarr": "a.zarr", "output": "out", "method": "fitting", "flatfield_path": None, "mask_dir": "m", "res": 0,
           "num_workers": 2, "memory_limit": "16GiB", "n_levels": 7, "results_dir": "r", "save_outputs": True,
           "fitting_config": "f.json", "basic_config": "b.json", "median_summary_path": "s", "overwrite": False,
           "skip_flat_field": False, "skip_bkg_sub": False, "pedestal": 0.0, "use_reference_bkg": False,
           "is_binned": False, "binned_channel": 488, "background_smoothing_sigma": 1.0,
           "background_final_smoothing_sigma": 2, "estimation_res": "3", "on_qc_fail": "warn", "corrected_rank": -2,
           "output_chunks": [64, 64, 64], "output_zarr_format": 3, "corrected_shard_size": [512, 512, 512],
           "mask_shard_size": "none", "probability_shard_size": 256, "write_empty_chunks": True,
           "output_codec": "blosc-zstd", "output_codec_level": 1, "metadata_schema": 2, "log_level": 20,
           "log_format": "json", "s3_endpoint": "http://x", "s3_region": "us-west-2", "s3_anonymous": False,
           "s3_request_payer": False, "s3_sse": "aws:kms:key", "s3_acl": "private", "s3_concurrency": 8,
           "s3_max_attempts": 3, "tile_paths": ["a", "b"], "fitting": {"gaussian_sigma": 1}, "basic": {"rho": 2},
           "worker_mode": "x"}
    fitting = {"med_factor_binned": 2.0, "gaussian_sigma": 1, "profile_percentile": 50, "profile_min_voxels": 10,
               "limits_x": [0.2, 5], "limits_y": None, "limits_z": [1, 1], "global_ratio_limits": [0.1, 2],
               "median_summary_path": None, "probability_model": "gmm", "enable_gmm_refinement": True,
               "gmm_n_components": 3, "probability_ramp_eps": 0.1}
    basic = {"fitting_mode": "ladmap", "get_darkfield": True, "epsilon": 0.1, "max_iterations": 5, "rho": 1.5,
             "working_size": [64, 32], "resize_mode": "jax", "autotune": False, "max_frames": 10}
    documents = {"run": run, "fitting": fitting, "basic": basic, "empty": {},
                 "folder": {"input": "i", "output": "o", "timelapse": "additive", "output_type": "float32"},
                 "synth": {"output": "o", "shape": [4, 5, 6], "chunks": [2, 2, 2], "n_levels": 2, "seed": 3},
                 "json": [None, True, False, 0, -1, 2**63, -2**63, 2**64 - 1, 1.5, -0.0, 1e300, "\u00e9\n\t\"", {"a": {}}]}
    others = (None, True, "x", -1, 1.5, [1], [1, 2, 3], [1, 2, 3, 4], {}, 2**64 - 1, ["a", 1], "none", "5,6", 99)
    keys = ("limits_x", "limits_z", "global_ratio_limits", "probability_model", "gaussian_sigma", "probability_ramp_eps",
            "fitting_mode", "working_size", "rho", "epsilon", "max_frames", "get_darkfield", "tile_paths", "output_chunks",
            "corrected_shard_size", "memory_limit", "corrected_rank", "log_level", "s3_sse", "res", "write_empty_chunks",
            "output_zarr_format", "fitting", "basic", "method", "zarr", "overwrite", "num_workers")
    for i, key in enumerate(keys):  # each with some of the others, all of them with one another
        for j in range(4):
            documents[f"{key}_{j}"] = {key: others[(i + 4 * j) % len(others)]}
    for name, members in {"no_zarr": {"zarr": None}, "no_output": {"output": None}, "no_mask": {"mask_dir": ""},
                          "no_results": {"results_dir": ""}, "no_flatfield": {"method": "reference"},
                          "fitting_skip": {"skip_bkg_sub": True}, "pedestal": {"pedestal": 5},
                          "reference": {"method": "basicpy", "skip_bkg_sub": True, "use_reference_bkg": True},
                          "codec_level": {"output_codec_level": 99}, "codec_none": {"output_codec": "none"},
                          "skip": {"skip_flat_field": True}, "unknown": {"outputs": 1},
                          "unused": {"method": "reference", "flatfield_path": "f"}}.items():
        documents[f"check_{name}"] = changed(dict(run, tile_paths=None), **members)
    for name, document in documents.items():
        put("configuration", name, json.dumps(document))
    for name, text in {"gib": "16GiB", "half": "0.5T", "kilo": "1k", "size_zero": "0", "size_text": "16X", "list": "1,2,3",
                       "list_bad": "1,,3", "number": "-2.5", "infinity": "inf", "true": "true", "level": "warning",
                       "rank": "mean", "none": "none", "empty": "", "word": "fitting", "large": "1e400"}.items():
        put("configuration", f"text_{name}", text)


# ---- answers of S3

def make_xml_answers():
    for name, text in {
            "listing_size": "<ListBucketResult><Contents><Key>a</Key><Size>x</Size></Contents></ListBucketResult>",
            "listing_endless": "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "listing_encoding": "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key><Size>1</Size>"
                                "</Contents></ListBucketResult>",
            "error_response": "<ErrorResponse><Error><Code>A</Code><Message>B</Message></Error></ErrorResponse>",
            "role_keyless": "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>A</AccessKeyId></Credentials>"
                            "</AssumeRoleResult></AssumeRoleResponse>",
            "upload_nameless": "<InitiateMultipartUploadResult/>", "deep": "<a>" * 40, "type": "<!DOCTYPE a><a/>",
            "html": "<html><body>", "text": "no XML"}.items():
        put("xml_answers", name, text)


# ---- TIFF

def make_tiff_image():
    def image(name, array, **options):
        file = io.BytesIO()
        file.name = "image.tif"
        tifffile.imwrite(file, array, metadata=None, software=False, **options)
        put("tiff_image", name, file.getvalue())
        return file.getvalue()

    plain = image("uint8", values((5, 7), "u1"))
    image("uint16", values((5, 7), "u2"))
    image("big_endian", values((5, 7), ">u2"), byteorder=">")
    image("pages", values((3, 5, 7), "u1"), photometric="minisblack")
    image("float32", values((5, 7), "f4"))
    image("float64", values((5, 7), "f8"))
    image("int16", values((5, 7), "i2"))
    image("bits", values((5, 9), "u1") > 20)
    image("strips", values((9, 7), "u1"), rowsperstrip=2)
    image("tiles", values((20, 21), "u1"), tile=(16, 16))
    image("bigtiff", values((5, 7), "u1"), bigtiff=True)
    image("rgb", values((5, 7, 3), "u1"), photometric="rgb")
    try:
        image("zlib", values((5, 7), "u1"), compression="zlib")
        image("zlib_tiles", values((20, 21), "u2"), tile=(16, 16), compression="zlib")
    except (ValueError, KeyError):  # older tifffile without a codec library
        pass
    file = io.BytesIO()
    tifffile.imwrite(file, values((3, 4, 5), "u1"), imagej=True, metadata={"axes": "ZYX"})
    stack = file.getvalue()
    put("tiff_image", "imagej", stack)
    # As ImageJ writes stacks larger than 4 GiB: one page, and the planes behind it.
    file = io.BytesIO()
    tifffile.imwrite(file, values((4, 5), "u1"), metadata=None, software=False,
                     description="ImageJ=1.53\nimages=3\n")
    one_page = file.getvalue()
    put("tiff_image", "imagej_planes", one_page + bytes(40))
    put("tiff_image", "imagej_short", one_page)
    put("tiff_image", "short", plain[:-9])
    put("tiff_image", "header", plain[:8])
    put("tiff_image", "no_tiff", b"II*")
