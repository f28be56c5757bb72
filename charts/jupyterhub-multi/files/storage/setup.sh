#!/bin/sh
# Make the folder of a new volume; kubelet gives it the pod's group when it mounts it.
set -eu
mkdir -p "$VOL_DIR"
chmod 0770 "$VOL_DIR"
