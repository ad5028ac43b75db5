# What `cmake --install` puts beside the program (src/flatfield/cli), and the Debian packages that `cpack` makes of it:
# exaspim-flatfield (component program) and libexaspim-flatfield-dev (component library).

# Without the headers of the program, of the Python module and of tests, and those that include cairo, libtiff or fmt, which the
# targets do not hand on.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/src/flatfield DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library
  FILES_MATCHING PATTERN "*.h" PATTERN "cli" EXCLUDE PATTERN "python" EXCLUDE
  PATTERN "store_exam.h" EXCLUDE PATTERN "volume_stage_case.h" EXCLUDE PATTERN "stored_volume.h" EXCLUDE
  PATTERN "canvas.h" EXCLUDE PATTERN "tiff_library.h" EXCLUDE PATTERN "option_rows.h" EXCLUDE)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/exaspim_flatfield)
install(EXPORT exaspim_flatfield NAMESPACE exaspim_flatfield:: DESTINATION ${package_folder} COMPONENT library
  FILE exaspim_flatfield-targets.cmake)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/exaspim_flatfield-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_LIST_DIR}/exaspim_flatfield-config.cmake
  ${PROJECT_BINARY_DIR}/exaspim_flatfield-config-version.cmake DESTINATION ${package_folder} COMPONENT library)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/exaspim-flatfield
  RENAME copyright COMPONENT program)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libexaspim-flatfield-dev
  RENAME copyright COMPONENT library)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/exaspim-flatfield COMPONENT program)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/exaspim-flatfield
  COMPONENT program)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "ExASPIM Flatfield")
set(CPACK_PACKAGE_CONTACT "ExASPIM Flatfield maintainers <maintainers@exaspim-flatfield.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program library)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME exaspim-flatfield)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)  # needs PACKAGE_PACKAGES of scripts/packages.sh
set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS fonts-dejavu-core)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libexaspim-flatfield-dev)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS
  "cmake, pkg-config, libblosc-dev, libzstd-dev, liblz4-dev, zlib1g-dev, libbz2-dev, liblzma-dev, libssl-dev, libcurl4-openssl-dev, libexpat1-dev, libtiff-dev, libhwy-dev, nlohmann-json3-dev, libspdlog-dev, libfmt-dev, libcairo2-dev")
if(FLATFIELD_MPI_LIBRARY)
  string(APPEND CPACK_DEBIAN_LIBRARY_PACKAGE_DEPENDS ", libopenmpi-dev")
endif()
include(CPack)
