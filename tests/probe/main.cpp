// probe OPERATION FOLDER: runs one library function on the arrays in FOLDER (see probe.h).
#include <fstream>
#include <iostream>
#include <sstream>

#include "probe.h"

int main(int argc, char** argv) {
  using namespace flatfield::test;
  try {
    if (argc != 3) throw std::runtime_error("usage: probe OPERATION FOLDER");
    ProbeOperations operations;
    add_basic_operations(operations);
    add_filter_operations(operations);
    add_mixture_operations(operations);
    add_quality_operations(operations);
    add_spline_operations(operations);
    add_weight_operations(operations);
    add_zarr_operations(operations);
    const std::filesystem::path folder = argv[2];
    std::stringstream text;
    text << std::ifstream(folder / "arguments.json").rdbuf();
    const ProbeCall call(folder, flatfield::Json::parse(text.str(), "arguments.json"));
    operations.at(argv[1])(call);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "probe: " << error.what() << "\n";
    return 1;
  }
}
