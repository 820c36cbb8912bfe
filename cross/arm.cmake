# Target: 32-bit Arm Linux (v7, hard float), glibc, against build/sysroots/arm.
# Use:    cross/sysroot.sh arm && cmake --preset cross-arm && cmake --build --preset cross-arm
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(PGW_TARGET arm-linux-gnueabihf)
set(PGW_ARCH arm)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
