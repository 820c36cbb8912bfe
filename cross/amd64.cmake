# Target: 64-bit x86 Linux, glibc, against build/sysroots/amd64.
# Use:    cross/sysroot.sh amd64 && cmake --preset cross-amd64 && cmake --build --preset cross-amd64
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(PGW_TARGET x86_64-linux-gnu)
set(PGW_ARCH amd64)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
