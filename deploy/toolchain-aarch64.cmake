# CMake toolchain: builds for aarch64 on a Debian 12 of another kind, with Debian's cross compiler.
#
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get install --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross cmake pkgconf \
#       lib{pq,h2o,uv1,ssh2-1,json-c,yaml,ssl,curl4-openssl}-dev:arm64
#   cmake -S . -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=deploy/toolchain-aarch64.cmake -DFLEET_TESTS=OFF
#
# apt refuses the :arm64 libraries while the machine's own are of another version: upgrade it, or let
# deploy/cross-build do all of this in a root of its own.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)

# Programs are this machine's, libraries are not.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(ENV{PKG_CONFIG_LIBDIR} /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_PATH} "")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "")

find_program(FLEET_QEMU qemu-aarch64-static)
mark_as_advanced(FLEET_QEMU)
if(FLEET_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${FLEET_QEMU})
endif()
