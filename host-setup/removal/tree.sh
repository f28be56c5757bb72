#!/bin/sh
# Removes the directories given as arguments with what is in them, except what is a mount point or lies under one.
set -u
for root in "$@"; do
    [ -e "$root" ] || [ -L "$root" ] || continue
    # mountinfo writes a space in a name as \040; such a mount keeps the whole directory.
    mounts=$(awk -v root="$root" '$5 == root || index($5, root "/") == 1 {print $5}' /proc/self/mountinfo)
    if [ -z "$mounts" ]; then
        rm -rf -- "$root"
        continue
    fi
    echo "kept in $root, because it is mounted: $(echo "$mounts" | tr '\n' ' ')"
    case $mounts in *\\040* | *'*'* | *'?'* | *'['*) continue ;; esac
    keep=$mounts
    set -- "$root" -depth
    for mount in $keep; do set -- "$@" ! -path "$mount" ! -path "$mount/*"; done
    # A directory above a mount point cannot be removed, and is not to be.
    find "$@" -delete 2>/dev/null || true
done
exit 0
