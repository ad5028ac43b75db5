#!/usr/bin/env python3
"""Makes the named inputs of fuzz/corpus: arrays that zarr-python 2, numcodecs and tifffile write (Debian's
python3-zarr, python3-tifffile), documents of Zarr v3, OME-NGFF and the configuration, and what is wrong with them.

Usage: fuzz/make_corpus.py [FOLDER]    writes FOLDER/TARGET/NAME (default: fuzz/corpus)
Inputs with a hexadecimal name were found by the fuzzers (fuzz/minimise) and are left alone.
"""
import pathlib
import sys

import corpus_arrays
import corpus_documents
import corpus_inputs

if __name__ == "__main__":
    if len(sys.argv) > 1:
        corpus_inputs.folder_of_corpus = pathlib.Path(sys.argv[1])
    # In this order, as they share their random numbers.
    corpus_arrays.make_zarr_v2()
    corpus_arrays.make_zarr_chunks()
    corpus_arrays.make_zarr_shards()
    corpus_arrays.make_zarr_v3()
    corpus_documents.make_ome_image()
    corpus_documents.make_configuration()
    corpus_documents.make_xml_answers()
    corpus_documents.make_tiff_image()
