# shellcheck shell=bash
#
# Common part of the scripts that measure. Sourced after lib.sh.
#
#   build_bench    builds the measured program, $HOMEROOM_BINARY, unless it is set already, and the measuring
#                  program, $bench

build_bench() {
    need_cargo
    need_compiler
    install_missing

    # Settings in the environment of the developer must not change the measured server.
    local binary=${HOMEROOM_BINARY:-} variable
    for variable in "${!HOMEROOM_@}"; do unset "$variable"; done

    local release=${CARGO_TARGET_DIR:-$PWD/target}/release
    if [ -z "$binary" ]; then
        # Two builds, because one build would unify the features of the libraries.
        cargo build --release --locked
        binary=$release/homeroom
    fi
    cargo build --release --locked --package benches
    export HOMEROOM_BINARY=$binary
    # shellcheck disable=SC2034 # for the script that sources this file
    bench=$release/bench
}
