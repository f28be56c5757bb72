#!/bin/sh
# Remove a volume's folder, also where its user took write permission from sub-folders.
set -eu
[ -d "$VOL_DIR" ] || exit 0
chmod -R u+rwX "$VOL_DIR"
rm -rf "$VOL_DIR"
