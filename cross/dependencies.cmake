# Given to CMake as CMAKE_PROJECT_TOP_LEVEL_INCLUDES by the cross presets: the libraries that
# find_package does not find in a sysroot, or finds by halves.

# prometheus-cpp, of which Debian has no static archive, is built from Debian's source package
# with this project's own flags. Only its core is linked. snappy's CMake package names files below
# /usr whatever the sysroot is. Debian's libcrypto.a wants zstd.
macro(pgw_provide_dependency method name)
  if("${name}" STREQUAL "prometheus-cpp")
    if(NOT TARGET prometheus-cpp::core)
      foreach(option ENABLE_PULL ENABLE_PUSH ENABLE_TESTING OVERRIDE_CXX_STANDARD_FLAGS GENERATE_PKGCONFIG)
        set(${option} OFF CACHE BOOL "")
      endforeach()
      add_subdirectory(${CMAKE_SOURCE_DIR}/build/sysroots/source/prometheus-cpp
        ${CMAKE_BINARY_DIR}/prometheus-cpp EXCLUDE_FROM_ALL SYSTEM)
    endif()
    set(prometheus-cpp_FOUND TRUE)
  elseif("${name}" STREQUAL "Snappy")
    if(NOT TARGET Snappy::snappy-static)
      find_library(PGW_SNAPPY libsnappy.a REQUIRED)
      add_library(Snappy::snappy-static STATIC IMPORTED)
      set_target_properties(Snappy::snappy-static PROPERTIES IMPORTED_LOCATION ${PGW_SNAPPY})
    endif()
    set(Snappy_FOUND TRUE)
  elseif("${name}" STREQUAL "OpenSSL")
    find_package(OpenSSL ${ARGN} BYPASS_PROVIDER)
    find_library(PGW_ZSTD libzstd.a REQUIRED)
    set_property(TARGET OpenSSL::Crypto APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${PGW_ZSTD})
  endif()
endmacro()
cmake_language(SET_DEPENDENCY_PROVIDER pgw_provide_dependency SUPPORTED_METHODS FIND_PACKAGE)

# The linker writes down what it read: the notices name exactly the packages linked.
function(pgw_record_what_is_linked)
  foreach(program pushgateway pgw-pack)
    if(TARGET ${program})
      target_link_options(${program} PRIVATE "LINKER:--dependency-file=${CMAKE_BINARY_DIR}/${program}.link.d")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL pgw_record_what_is_linked)
