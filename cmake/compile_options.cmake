# Options that every target of the project is compiled with.
add_library(flatfield_options INTERFACE)
# -ffp-contract=off: a*b+c is never fused, so every CPU computes the same bits.
# -fno-math-errno lets sqrt and friends be vectorised; it changes no value.
target_compile_options(flatfield_options INTERFACE
  -ffp-contract=off -fno-math-errno
  -Wall -Wextra -Wpedantic -Wshadow -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
  # gcc 12 sees overlaps in std::string's operator+ that are not there (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${FLATFIELD_WERROR}>:-Werror>)
target_compile_definitions(flatfield_options INTERFACE
  FLATFIELD_VERSION="${PROJECT_VERSION}")
if(FLATFIELD_SANITIZE)
  target_compile_options(flatfield_options INTERFACE
    -fsanitize=${FLATFIELD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(flatfield_options INTERFACE -fsanitize=${FLATFIELD_SANITIZE})
  if(FLATFIELD_SANITIZE MATCHES "address")
    # A sixth of the time to compile, for what AddressSanitizer stops at too.
    target_compile_options(flatfield_options INTERFACE -fno-sanitize=null,vptr,object-size)
    target_sources(flatfield_options INTERFACE
      $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:${CMAKE_CURRENT_LIST_DIR}/leak_suppressions.cpp>)
  endif()
endif()
string(REPLACE "-O2" "-O3" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
