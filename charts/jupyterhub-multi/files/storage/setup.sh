#!/bin/sh
# Make the folder of a new volume; kubelet gives it the pod's group when it mounts it.
set -eu
mkdir -m 0770 -p "$VOL_DIR"
