"""What makes a bare host ready for kubeadm, in order; each Step is pure."""

from __future__ import annotations

from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.steps import runtime, system

PREPARATION: tuple[Step, ...] = (
    Step("directories", system.desire_directories),
    Step("packages", system.desire_packages),
    Step("swap", system.desire_no_swap),
    Step("selinux", system.desire_permissive_selinux),
    Step("kernel", system.desire_kernel),
    Step("names", system.desire_names),
    Step("resolver", system.desire_resolver),
    Step("programs", runtime.desire_programs),
    Step("containerd", runtime.desire_containerd),
    Step("images", runtime.desire_images),
    Step("kubelet", runtime.desire_kubelet),
)
