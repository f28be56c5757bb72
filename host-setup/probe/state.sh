#!/bin/sh
# Read-only: how the things named in the arguments stand now. Arguments: kind:name, such as file:/etc/hosts or unit:kubelet.
set -u
export LC_ALL=C

for item in "$@"; do
    name=${item#*:}
    case $item in
        file:*)
            [ -e "$name" ] || continue
            if [ -d "$name" ]; then sum=directory; else sum=$(sha256sum <"$name" | cut -d ' ' -f 1); fi
            printf 'file\t%s\t%s\t%s\n' "$name" "$sum" "$(stat -c '%a %u:%g' "$name")"
            ;;
        unit:*)
            printf 'unit\t%s\t%s\t%s\n' "$name" "$(systemctl is-active "$name" 2>/dev/null)" \
                "$(systemctl is-enabled "$name" 2>/dev/null)"
            ;;
        sysctl:*)
            path=/proc/sys/$(printf '%s' "$name" | tr . /)
            [ -r "$path" ] && printf 'sysctl\t%s\t%s\t\n' "$name" "$(tr '\t' ' ' <"$path")"
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

# An intent with no end is a change that was cut off; it has to be made again whatever the files say.
journal=/var/lib/kubelab/journal.jsonl
[ -r "$journal" ] && tail -n 400 "$journal" | sed 's/^/journal\t/; s/$/\t\t/'
exit 0
