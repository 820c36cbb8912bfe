# Target: 64-bit Arm Linux, glibc, against build/sysroots/arm64.
# Use:    cross/sysroot.sh arm64 && cmake --preset cross-arm64 && cmake --build --preset cross-arm64
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(PGW_TARGET aarch64-linux-gnu)
set(PGW_ARCH arm64)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
