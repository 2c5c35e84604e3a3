#!/usr/bin/env bash
# usage: install-packages.sh [PACKAGE…]
#
# Installs Debian packages without letting them start anything. A Debian server
# package starts the machine's own instance on its well-known port, and the
# PostgreSQL package also makes a cluster. Both are prevented while apt runs. The
# settings for that are restored afterwards, also after an interrupt. Without a
# package name it only restores what a killed run left behind.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
policy_saved=$policy.before-risiti
cluster_dir=/etc/postgresql-common/createcluster.d
cluster_rule=$cluster_dir/risiti.conf
marker="# Written by Risiti's install-packages.sh, which removes it when apt is done."

die() {
    printf 'install-packages: %s\n' "$*" >&2
    exit 1
}

become_root() {
    ((EUID == 0)) && return
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
        exec sudo -- bash "${BASH_SOURCE[0]}" "$@"
    fi
    die "these packages are missing: $*
  They can be installed as root or through sudo, and neither is possible here. Ask an administrator for
      apt-get install $*
  or set DATABASE_URL and AMQP_URL to servers that exist."
}

put_back() {
    if grep -qsxF "$marker" "$policy"; then rm -f "$policy"; fi
    if [[ -e $policy_saved && ! -e $policy ]]; then mv "$policy_saved" "$policy"; fi
    if [[ -e $cluster_rule ]]; then
        rm -f "$cluster_rule"
        # The package owns neither folder before it is installed, so an empty one is ours.
        rmdir --ignore-fail-on-non-empty "$cluster_dir" 2>/dev/null || true
    fi
}

hold_back() {
    if [[ -e $policy ]]; then mv "$policy" "$policy_saved"; fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$marker" >"$policy"
    chmod 755 "$policy"
    mkdir -p "$cluster_dir"
    printf '%s\ncreate_main_cluster = false\n' "$marker" >"$cluster_rule"
}

# The first try runs without `apt-get update`. The next ones repair what went wrong:
# stale lists, a mirror that fails for a moment, an earlier run that was interrupted.
install() {
    local attempt log
    log=$(mktemp)
    for attempt in 1 2 3 4; do
        if ((attempt > 1)); then
            sleep $((attempt * 2))
            dpkg --configure -a >>"$log" 2>&1 || true
            apt-get -q update >>"$log" 2>&1 || true
        fi
        if apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 install "$@" >>"$log" 2>&1; then
            rm -f "$log"
            return
        fi
        echo "install-packages: apt-get failed (try $attempt of 4)" >&2
    done
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $*"
}

command -v apt-get >/dev/null || die "no apt-get here: install by hand what these Debian packages hold: $*"
become_root "$@"

# One installation at a time on a machine, however many clones there are.
exec 7>/run/risiti-install.lock
flock 7

trap put_back EXIT
trap 'exit 130' INT TERM HUP
put_back
(($#)) || exit 0
echo "installing $* (this machine's own servers stay as they are)" >&2
hold_back
# needrestart, where there is one, would restart servers that are not ours.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
install "$@" 7>&-
