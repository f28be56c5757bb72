#!/bin/sh
# At a user's first start, put the welcome notebook into the home and open it; then start the server.
# A home that cannot be written, or is full, must not keep the server from starting.
set -u

seen=$HOME/.local/state/kubelab/welcomed
if [ ! -e "$seen" ] && mkdir -p "${seen%/*}" 2>/dev/null && : 2>/dev/null >"$seen"; then
  if [ ! -e "$HOME/Welcome.ipynb" ] && cp /opt/server/share/kubelab/Welcome.ipynb "$HOME/" 2>/dev/null; then
    # Another page than JupyterLab itself was chosen with a purpose.
    case ${JUPYTERHUB_DEFAULT_URL:-/lab} in
      /lab | /lab/) export JUPYTERHUB_DEFAULT_URL=/lab/tree/Welcome.ipynb ;;
    esac
  fi
fi
exec "$@"
