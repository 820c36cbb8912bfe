# What the toolchain files of all architectures have in common: clang of this machine, everything
# else from the sysroot. Expects PGW_ARCH, PGW_TARGET, CMAKE_SYSTEM_PROCESSOR.
set(CMAKE_SYSTEM_NAME Linux)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES PGW_ARCH PGW_TARGET)

set(CMAKE_C_COMPILER clang-19)
set(CMAKE_CXX_COMPILER clang++-19)
set(CMAKE_C_COMPILER_TARGET ${PGW_TARGET})
set(CMAKE_CXX_COMPILER_TARGET ${PGW_TARGET})
# Those of the compiler, since they read its LTO objects.
set(CMAKE_AR /usr/bin/llvm-ar-19 CACHE FILEPATH "")
set(CMAKE_RANLIB /usr/bin/llvm-ranlib-19 CACHE FILEPATH "")
set(CMAKE_NM /usr/bin/llvm-nm-19 CACHE FILEPATH "")
set(CMAKE_STRIP /usr/bin/llvm-strip-19 CACHE FILEPATH "")
set(CMAKE_OBJCOPY /usr/bin/llvm-objcopy-19 CACHE FILEPATH "")
foreach(language C CXX)
  set(CMAKE_${language}_COMPILER_AR ${CMAKE_AR})
  set(CMAKE_${language}_COMPILER_RANLIB ${CMAKE_RANLIB})
endforeach()
set(CMAKE_EXE_LINKER_FLAGS_INIT "--ld-path=/usr/bin/ld.lld-19")

# Libraries from the sysroot, tools from this machine.
get_filename_component(CMAKE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/sysroots/${PGW_ARCH} ABSOLUTE)
if(NOT EXISTS ${CMAKE_SYSROOT})
  message(FATAL_ERROR "No sysroot at ${CMAKE_SYSROOT}: run cross/sysroot.sh ${PGW_ARCH}")
endif()
# Said outright: through the link /lib, clang makes paths whose ".." ninja resolves wrongly.
set(CMAKE_C_COMPILER_EXTERNAL_TOOLCHAIN ${CMAKE_SYSROOT}/usr)
set(CMAKE_CXX_COMPILER_EXTERNAL_TOOLCHAIN ${CMAKE_SYSROOT}/usr)
set(CMAKE_LIBRARY_ARCHITECTURE ${PGW_TARGET})
set(CMAKE_FIND_ROOT_PATH ${CMAKE_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# ctest runs target programs through this.
if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL CMAKE_HOST_SYSTEM_PROCESSOR)
  set(qemu ${PGW_ARCH})
  if(qemu STREQUAL arm64)
    set(qemu aarch64)
  elseif(qemu STREQUAL amd64)
    set(qemu x86_64)
  endif()
  set(CMAKE_CROSSCOMPILING_EMULATOR qemu-${qemu}-static)
endif()
