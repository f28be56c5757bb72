#!/bin/sh
# Packages put on a host, and the host's packages put back. `install apt|dnf RECORD WORD...`, where a word is NAME,
# NAME=VERSION, or NAME- for one that is to go; `undo apt|dnf RECORD NUMBER` takes back the transaction of that number.
# RECORD.NUMBER.before and .after keep every package's version.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
verb=$1 family=$2 record=$3
shift 3
confold='-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold'
yum=dnf
command -v dnf >/dev/null 2>&1 || yum=yum

list_packages() {
    if [ "$family" = apt ]; then
        # shellcheck disable=SC2016 # dpkg-query's own variables
        dpkg-query --show --showformat='${db:Status-Abbrev} ${Package} ${Version}\n' | awk '$1 ~ /^.i/ {print $2 "=" $3}'
    else
        rpm --query --all --queryformat '%{NAME}=%{VERSION}-%{RELEASE}\n'
    fi | sort -u
}
# Ends with an error when the transaction cannot be made, or would take away what it was not told to.
try_apt() {
    planned=$(apt-get --simulate --quiet --yes --no-install-recommends --allow-downgrades --allow-change-held-packages install "$@" 2>&1) || {
        echo "apt cannot do this:" "$@" >&2
        printf '%s\n' "$planned" | grep '^E:\|^ ' >&2
        exit 1
    }
    for gone in $(printf '%s\n' "$planned" | awk '$1 == "Remv" {print $2}'); do
        case " $* " in *" $gone- "*) ;; *)
            echo "this would remove $gone, which needs what is to go; remove it yourself first if you do not" >&2
            exit 1 ;;
        esac
    done
}
do_apt() {
    try_apt "$@"
    # shellcheck disable=SC2086 # options, each a word
    apt-get --quiet --yes --no-install-recommends --allow-downgrades $confold install "$@"
}
do_dnf() {
    gone='' wanted=''
    for word in "$@"; do
        case $word in
            *-) rpm --query "${word%-}" >/dev/null 2>&1 && gone="$gone ${word%-}" ;;
            *=*) wanted="$wanted ${word%%=*}-${word#*=}" ;;
            *) wanted="$wanted $word" ;;
        esac
    done
    # dnf would take along what needs them.
    # shellcheck disable=SC2086 # package names, each a word
    if [ -n "$gone" ] && ! needing=$(rpm --erase --test $gone 2>&1); then
        printf '%s\n' "this would remove what needs what is to go; remove it yourself first if you do not:" "$needing" >&2
        exit 1
    fi
    # shellcheck disable=SC2086 # package names, each a word
    [ -z "$gone" ] || $yum --assumeyes remove --setopt=clean_requirements_on_remove=False $gone
    # shellcheck disable=SC2086 # package names, each a word
    [ -z "$wanted" ] || $yum --assumeyes install --setopt=install_weak_deps=False $wanted
}
# A package's settings go with it, unless somebody changed them. Docker's data never goes here: docker.io's purge would.
purge() {
    rm -f /var/lib/docker/nuke-graph-directory.sh
    for name in "$@"; do
        # shellcheck disable=SC2016 # dpkg-query's own variables
        changed=$(dpkg-query --show --showformat='${Conffiles}\n' "$name" 2>/dev/null | awk 'NF >= 2 {print $2 "  " $1}' |
            md5sum --check --quiet 2>/dev/null | sed -n 's/: FAILED$//p')
        if [ -n "$changed" ]; then echo "kept the settings of $name, which somebody changed: $changed"
        else dpkg --purge "$name" 2>/dev/null || echo "kept the settings of $name"; fi
    done
}

case $verb in
    install)
        mkdir -p "$(dirname "$record")"
        number=1
        while [ -f "$record.$number.after" ]; do number=$((number + 1)); done
        record=$record.$number
        # A second making, after a crash, must not take the half-made host for the one before.
        if [ ! -f "$record.before" ]; then
            systemctl list-unit-files --state=enabled --no-legend 'docker*' 'containerd*' 2>/dev/null |
                awk '{print $1}' >"$record.units" || true
            list_packages >"$record.partial"
            mv "$record.partial" "$record.before"
        fi
        "do_$family" "$@"
        list_packages >"$record.partial"
        mv "$record.partial" "$record.after"
        ;;
    undo)
        record=$record.$1
        [ -f "$record.before" ] || exit 0
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        list_packages >"$work/now"
        if [ -f "$record.after" ]; then cp "$record.after" "$work/after"; else cp "$work/now" "$work/after"; fi
        for each in before after now; do
            [ "$each" = before ] && cp "$record.before" "$work/before"
            cut -d = -f 1 "$work/$each" | sort -u >"$work/$each.names"
        done
        comm -13 "$work/before.names" "$work/after.names" | comm -12 - "$work/now.names" >"$work/added"
        comm -23 "$work/before" "$work/after" | comm -23 - "$work/now" >"$work/back"
        words="$(cat "$work/back") $(sed 's/$/-/' "$work/added")"
        # shellcheck disable=SC2086 # package names, each a word
        set -- $words
        [ $# = 0 ] || "do_$family" "$@"
        # Those too that an earlier, cut-off undo removed.
        # shellcheck disable=SC2046 # package names, each a word
        [ "$family" != apt ] || purge $(comm -13 "$work/before.names" "$work/after.names")
        # The purge of one Docker disables the units of the other, which have the same names.
        while read -r unit; do systemctl enable "$unit" 2>/dev/null || true; done <"$record.units"
        rm -f "$record.before" "$record.after" "$record.units"
        ;;
esac
