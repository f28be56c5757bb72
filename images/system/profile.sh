# Debian's /etc/profile replaces PATH in login shells, and JupyterLab's terminals are such: say it again.
# shellcheck shell=sh
for kubelab_python in $(printf '%s\n' /opt/python/*/bin | sort --version-sort); do
  PATH="$kubelab_python:/opt/server/bin:$PATH:$HOME/.local/bin"
done
unset kubelab_python
export PATH
