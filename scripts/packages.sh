# Debian/Ubuntu packages of this project, and how they are installed. Sourced by demo and test.

# To build and run the program. Where npm is there too, the build fetches the library that the charts of the report can be
# zoomed with; else they are still pictures.
BUILD_PACKAGES="g++ cmake ninja-build pkg-config libblosc-dev libzstd-dev liblz4-dev zlib1g-dev
  libbz2-dev liblzma-dev libssl-dev libcurl4-openssl-dev libexpat1-dev libtiff-dev
  libhwy-dev nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev libcairo2-dev fonts-dejavu-core python3"

# To run it in several processes on several machines (optional).
MPI_PACKAGES="libopenmpi-dev openmpi-bin"

# To test it: frameworks, and the programs whose answers it is held against.
TEST_PACKAGES="libgtest-dev libeigen3-dev libbenchmark-dev python3-pytest python3-numpy python3-scipy
  python3-skimage python3-sklearn python3-zarr python3-tifffile python3-jsonschema python3-venv groff-base
  python3-pil chromium chromium-driver python3-selenium
  swift-proxy swift-account swift-container swift-object memcached
  pybind11-dev libpython3-dev python3-hypothesis python3-dask python3-distributed
  python3-nbformat python3-nbclient python3-ipykernel python3-matplotlib"

# To make Debian packages of it: cpack looks into the program with `file`, and asks dpkg-shlibdeps what it needs.
PACKAGE_PACKAGES="file dpkg-dev"

# To test it from a bare machine (scripts/test --long), with PACKAGE_PACKAGES.
LONG_PACKAGES="mmdebstrap"

# For the fuzz targets (fuzz/run, fuzz/coverage, fuzz/mutations).
FUZZ_PACKAGES="clang-14 libclang-rt-14-dev llvm-14"

# need_packages NAME...: installs those that are missing, naming them first. Where this may not be
# done, says which are missing and ends the script with status 1.
need_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  if [ ${#missing[@]} -eq 0 ]; then return 0; fi
  echo "Packages to install: ${missing[*]}"
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      echo "These packages are missing and may not be installed by this user. As root:" >&2
      echo "  apt-get install ${missing[*]}" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  if ! { "${sudo[@]}" apt-get update -qq &&
         "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
           apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }; then
    echo "apt-get could not install: ${missing[*]}" >&2
    exit 1
  fi
}
