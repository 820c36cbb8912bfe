# Target: IBM Z Linux, glibc, against build/sysroots/s390x.
# Use:    cross/sysroot.sh s390x && cmake --preset cross-s390x && cmake --build --preset cross-s390x
# Only says where the compiler and the target's files are; flags live in presets.
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(PGW_TARGET s390x-linux-gnu)
set(PGW_ARCH s390x)
include(${CMAKE_CURRENT_LIST_DIR}/clang.cmake)
