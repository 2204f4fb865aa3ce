# shellcheck shell=bash
#
# What the scripts that measure share. Sourced, after lib.sh.
#
#   build_bench    installs what is missing and builds what is measured, $HOMEROOM_BINARY, unless it is set already,
#                  and what measures, $bench

build_bench() {
    need_cargo
    need_compiler
    need_postgres
    install_missing
    PATH=$PATH:$(postgres_bin)

    # Nothing of the developer's own configuration goes into what is measured.
    local binary=${HOMEROOM_BINARY:-} variable
    for variable in "${!HOMEROOM_@}"; do unset "$variable"; done

    local release=${CARGO_TARGET_DIR:-$PWD/target}/release
    if [ -z "$binary" ]; then
        # One after the other: built together, the server would have what the bench asks of their libraries.
        cargo build --release --locked
        binary=$release/homeroom
    fi
    cargo build --release --locked --package benches
    export HOMEROOM_BINARY=$binary
    # shellcheck disable=SC2034 # for the script that sources this
    bench=$release/bench
}
