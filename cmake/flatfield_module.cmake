# Headers that most files need, compiled once for all that is compiled alike: half of the time of a build is spent on reading
# them. flatfield_headers(TARGET HEADER...) makes the target whose headers others take with REUSE_FROM.
function(flatfield_headers target)
  set(source ${PROJECT_BINARY_DIR}/${target}.cpp)  # a target has to have one
  file(GENERATE OUTPUT ${source} CONTENT "")
  add_library(${target} OBJECT ${source})
  target_link_libraries(${target} PRIVATE flatfield_options)
  target_precompile_headers(${target} PRIVATE
    <algorithm> <array> <atomic> <cmath> <condition_variable> <cstdint> <cstring> <filesystem> <functional> <map> <memory>
    <mutex> <optional> <span> <string> <string_view> <utility> <vector> ${ARGN})
endfunction()

flatfield_headers(flatfield_headers)
# Tests are compiled to be built quickly, not to be fast; libraries may be of a shared object, tests never are.
function(flatfield_quick_build target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()
if(FLATFIELD_BUILD_TESTS)
  flatfield_headers(flatfield_test_headers <fstream> <random> <sstream> <gtest/gtest.h>)
  target_link_libraries(flatfield_test_headers PRIVATE GTest::gtest)
  flatfield_quick_build(flatfield_test_headers)
endif()

# flatfield_module(NAME DEPENDS folder... LINK library...)
#
# One folder of src/flatfield is one static library `flatfield_NAME`; every `*_test.cpp` in it goes
# into one test program `flatfield_NAME_test`. DEPENDS lists folders of lower floors only
# (tools/check_layers.py checks the includes).
function(flatfield_module name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")

  add_library(flatfield_${name} STATIC ${sources})
  target_include_directories(flatfield_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  list(TRANSFORM ARG_DEPENDS PREPEND flatfield_)
  target_link_libraries(flatfield_${name} PUBLIC ${ARG_DEPENDS}
    PRIVATE ${ARG_LINK} $<BUILD_INTERFACE:flatfield_options>)
  # What is inline in an installed header computes the same bits in a program as in the library.
  target_compile_options(flatfield_${name} INTERFACE $<INSTALL_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>>)
  set_target_properties(flatfield_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS flatfield_${name} EXPORT exaspim_flatfield
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  target_precompile_headers(flatfield_${name} REUSE_FROM flatfield_headers)

  if(FLATFIELD_BUILD_TESTS AND tests)
    add_executable(flatfield_${name}_test ${tests})
    target_include_directories(flatfield_${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(flatfield_${name}_test PRIVATE
      FLATFIELD_TESTS_FOLDER="${PROJECT_SOURCE_DIR}/tests")
    target_link_libraries(flatfield_${name}_test PRIVATE
      flatfield_${name} ${ARG_LINK} flatfield_options GTest::gtest_main)
    flatfield_quick_build(flatfield_${name}_test)
    target_precompile_headers(flatfield_${name}_test REUSE_FROM flatfield_test_headers)
    add_test(NAME ${name} COMMAND flatfield_${name}_test)
  endif()
endfunction()
