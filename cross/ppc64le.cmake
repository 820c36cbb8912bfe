# Target: 64-bit little-endian POWER Linux, glibc, against build/sysroots/ppc64le.
# Use:    cross/sysroot.sh ppc64le && cmake --preset cross-ppc64le && cmake --build --preset cross-ppc64le
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR ppc64le)
set(PGW_TARGET powerpc64le-linux-gnu)
set(PGW_ARCH ppc64le)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
