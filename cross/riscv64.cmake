# Target: 64-bit RISC-V Linux, glibc, against build/sysroots/riscv64.
# Use:    cross/sysroot.sh riscv64 && cmake --preset cross-riscv64 && cmake --build --preset cross-riscv64
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR riscv64)
set(PGW_TARGET riscv64-linux-gnu)
set(PGW_ARCH riscv64)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
