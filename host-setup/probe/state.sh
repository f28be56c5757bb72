#!/bin/sh
# Read-only: how the things named in the arguments stand now. Arguments: kind:name, such as file:/etc/hosts or unit:kubelet.
set -u
export LC_ALL=C

LARGE_BYTES=8388608

tell_file() {
    if [ -d "$1" ]; then sum=directory; else sum=$(sha256sum <"$1" | cut -d ' ' -f 1); fi
    printf 'file\t%s\t%s\t%s\n' "$1" "$sum" "$2"
}

for item in "$@"; do
    name=${item#*:}
    case $item in
        file:*)
            [ -e "$name" ] || continue
            found=$(stat -c '%s %a %u:%g' "$name")
            # Programs have tens of megabytes: they are read beside each other and beside the rest.
            if [ "${found%% *}" -gt "$LARGE_BYTES" ]; then
                tell_file "$name" "${found#* }" &
            else
                tell_file "$name" "${found#* }"
            fi
            ;;
        line:*)
            path=${name%%=*}
            text=${name#*=}
            [ -r "$path" ] && grep -qxF -- "$text" "$path" && printf 'line\t%s\t%s\t\n' "$path" "$text"
            ;;
        unit:*)
            printf 'unit\t%s\t%s\t%s\n' "$name" "$(systemctl is-active "$name" 2>/dev/null)" \
                "$(systemctl is-enabled "$name" 2>/dev/null)"
            ;;
        sysctl:*)
            path=/proc/sys/$(printf '%s' "$name" | tr . /)
            [ -r "$path" ] && printf 'sysctl\t%s\t%s\t\n' "$name" "$(tr '\t' ' ' <"$path")"
            ;;
        module:*)
            [ -d "/sys/module/$name" ] && printf 'module\t%s\t\t\n' "$name"
            ;;
        swap:*)
            awk 'NR > 1 {print "swap\t" $1 "\t\t"}' /proc/swaps
            [ -r /etc/fstab ] && awk '!/^[[:space:]]*#/ && $3 == "swap" {print "swap\tfstab\t\t"; exit}' /etc/fstab
            ;;
        package:*)
            if command -v dpkg-query >/dev/null 2>&1; then
                version=$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Version}' "$name" 2>/dev/null)
                case $version in ?i*) printf 'package\t%s\t%s\t\n' "$name" "${version##* }" ;; esac
            elif command -v rpm >/dev/null 2>&1; then
                version=$(rpm --query --queryformat '%{VERSION}-%{RELEASE}' "$name" 2>/dev/null) &&
                    printf 'package\t%s\t%s\t\n' "$name" "$version"
            fi
            ;;
        held:*)
            if command -v apt-mark >/dev/null 2>&1; then
                apt-mark showhold "$name" 2>/dev/null | awk '{print "held\t" $1 "\t\t"}'
            elif [ -r /etc/dnf/plugins/versionlock.list ]; then
                grep -q -- "^$name-[0-9]" /etc/dnf/plugins/versionlock.list && printf 'held\t%s\t\t\n' "$name"
            fi
            ;;
        stamp:*)
            [ -r "/var/lib/kubelab/stamps/$name" ] &&
                printf 'stamp\t%s\t%s\t\n' "$name" "$(cat "/var/lib/kubelab/stamps/$name")"
            ;;
        images:*)
            command -v ctr >/dev/null 2>&1 && [ -S /run/containerd/containerd.sock ] &&
                ctr --namespace k8s.io images list | awk 'NR > 1 {print "image\t" $1 "\t" $3 "\t"}'
            ;;
    esac
done

# A line is written whole; the journal's many are not, so they come when nobody else writes.
wait

# Intents without an end are changes that were cut off; all others say what is kubelab's on this host.
journal=/var/lib/kubelab/journal.jsonl
[ -r "$journal" ] && sed 's/^/journal\t/' "$journal"
exit 0
