#!/usr/bin/env bash
# Checks the dependency policy (deny.toml): bans, licences and sources. Known
# vulnerabilities are checked where their database is on this machine, because CI
# must not need a network.
#
# Uses $CARGO_DENY, or the cargo-deny on the PATH, or builds one, once, into the
# user's cache, where every clone finds it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=0.20.2
if [[ -n ${XDG_CACHE_HOME:-${HOME:-}} ]]; then
    tools=${XDG_CACHE_HOME:-$HOME/.cache}/risiti/tools
else
    tools=$PWD/.tools
fi
built=$tools/cargo-deny-$version

build() {
    mkdir -p "$tools"
    exec 9>"$tools/lock"
    flock 9
    [[ -x $built/bin/cargo-deny ]] && return
    echo "building cargo-deny $version into $built (once, some minutes)" >&2
    # It is built with little optimisation, because it runs for a few seconds only.
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_OPT_LEVEL=1 \
        cargo install --quiet --locked --debug --root "$built.new" "cargo-deny@$version" 9>&-
    rm -rf "$built"
    mv "$built.new" "$built"
    exec 9>&-
}

deny=${CARGO_DENY:-$(command -v cargo-deny || true)}
if [[ -z $deny ]]; then
    [[ -x $built/bin/cargo-deny ]] || build
    deny=$built/bin/cargo-deny
fi

"$deny" --locked check bans licenses sources

database=${CARGO_HOME:-${HOME:-}/.cargo}/advisory-dbs
if [[ -n $(ls -A "$database" 2>/dev/null) ]]; then
    "$deny" --locked check --disable-fetch advisories
else
    echo "advisories: not checked (no database in $database; \`cargo deny fetch\` gets one)"
fi
