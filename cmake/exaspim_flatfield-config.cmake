# find_package(exaspim_flatfield): the library as exaspim_flatfield::pipeline (everything) and one target per folder of
# its source, e.g. exaspim_flatfield::methods. The libraries below it are found first.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(PkgConfig)
pkg_check_modules(BLOSC REQUIRED IMPORTED_TARGET blosc)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
pkg_check_modules(CAIRO REQUIRED IMPORTED_TARGET cairo)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
foreach(name IN ITEMS CURL OpenSSL EXPAT ZLIB BZip2 LibLZMA TIFF fmt spdlog nlohmann_json Eigen3)
  find_dependency(${name})
endforeach()
include(${CMAKE_CURRENT_LIST_DIR}/exaspim_flatfield-targets.cmake)
