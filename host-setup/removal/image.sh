#!/bin/sh
# Removes an image from containerd's k8s.io namespace, with the name by its id that the CRI plugin gave it, unless the same
# image has another name besides, which someone else gave it. Argument: the reference.
set -eu
[ -S /run/containerd/containerd.sock ] || exit 0
images() { ctr --namespace k8s.io images "$@"; }
digest=$(images list "name==$1" | awk 'NR > 1 {print $3}')
[ -n "$digest" ] || exit 0
images remove --sync "$1" >/dev/null
left=$(images list | awk -v digest="$digest" 'NR > 1 && $3 == digest {print $1}')
case $(echo "$left" | grep -v '^sha256:' || true) in
    ?*) exit 0 ;;
esac
for name in $left; do images remove --sync "$name" >/dev/null; done
