"""What the projects publish: names, layouts and checksum files, written down from their release scripts.

Nothing here is read from artifacts.yaml: it is what that file is compared with.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from kubelab_helpers.artifacts.cache import READ_BYTES
from tests.unit.artifacts.support import FileServer, archive, sha256

KUBERNETES = (
    "kubelet",
    "kubeadm",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
GITHUB = "https://github.com"
OTHER = "0" * 64


def program(name: str, arch: str) -> bytes:
    """Return bytes that stand for one program, longer than one block of a download."""
    return f"{name} for {arch}\n".encode() * (READ_BYTES // 16)


def line(content: bytes, name: str) -> str:
    """Return a line as sha256sum writes it."""
    return f"{sha256(content)}  {name}\n"


def publish(server: FileServer, arch: str) -> None:
    """Serve every release that the catalogue takes from upstream, for one architecture."""
    for url, content in _releases(arch).items():
        server.put(url, content)


@cache
def _releases(arch: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for write in (_kubernetes, _containerd, _runc, _plugins, _etcd, _coredns, _registry, _helm, _chart_testing):
        write(files, arch)
    return files


def _put(files: dict[str, bytes], url: str, content: bytes, checksums: str, checksum_text: str) -> None:
    files[url] = content
    files[checksums] = checksum_text.encode()


def _kubernetes(files: dict[str, bytes], arch: str) -> None:
    for version, name in product(("1.37.2", "1.36.3"), KUBERNETES):
        url = f"https://dl.k8s.io/release/v{version}/bin/linux/{arch}/{name}"
        # The hash alone, without a newline.
        _put(files, url, program(name, arch), f"{url}.sha256", sha256(program(name, arch)))


def _containerd(files: dict[str, bytes], arch: str) -> None:
    names = ("containerd", "containerd-shim-runc-v2", "containerd-stress", "ctr")
    content = archive({"bin/": b"", **{f"bin/{name}": program(name, arch) for name in names}})
    file = f"containerd-static-2.4.2-linux-{arch}.tar.gz"
    url = f"{GITHUB}/containerd/containerd/releases/download/v2.4.2/{file}"
    _put(files, url, content, f"{url}.sha256sum", line(content, file))


def _runc(files: dict[str, bytes], arch: str) -> None:
    folder = f"{GITHUB}/opencontainers/runc/releases/download/v1.5.2"
    lines = [f"{OTHER}  runc.ppc64le\n", line(program("runc", arch), f"runc.{arch}"), f"{OTHER}  runc.tar.xz\n"]
    _put(files, f"{folder}/runc.{arch}", program("runc", arch), f"{folder}/runc.sha256sum", "".join(lines))


def _plugins(files: dict[str, bytes], arch: str) -> None:
    names = ("bandwidth", "bridge", "dhcp", "host-local", "loopback", "portmap", "tuning", "vlan")
    content = archive({"./": b"", "./LICENSE": b"", **{f"./{name}": program(name, arch) for name in names}})
    file = f"cni-plugins-linux-{arch}-v1.9.1.tgz"
    url = f"{GITHUB}/containernetworking/plugins/releases/download/v1.9.1/{file}"
    _put(files, url, content, f"{url}.sha256", line(content, file))


def _etcd(files: dict[str, bytes], arch: str) -> None:
    file = f"etcd-v3.7.3-linux-{arch}.tar.gz"
    top = file.removesuffix(".tar.gz")
    names = ("etcd", "etcdctl", "etcdutl")
    content = archive({f"{top}/": b"", **{f"{top}/{name}": program(name, arch) for name in names}})
    folder = f"{GITHUB}/etcd-io/etcd/releases/download/v3.7.3"
    sums = f"{OTHER}  etcd-v3.7.3-darwin-amd64.zip\n{line(content, file)}{OTHER}  etcd-v3.7.3-linux-s390x.tar.gz\n"
    _put(files, f"{folder}/{file}", content, f"{folder}/SHA256SUMS", sums)


def _coredns(files: dict[str, bytes], arch: str) -> None:
    file = f"coredns_1.14.6_linux_{arch}.tgz"
    content = archive({"coredns": program("coredns", arch)})
    url = f"{GITHUB}/coredns/coredns/releases/download/v1.14.6/{file}"
    _put(files, url, content, f"{url}.sha256", line(content, file))


def _registry(files: dict[str, bytes], arch: str) -> None:
    content = archive({"LICENSE": b"", "README.md": b"", "registry": program("registry", arch)})
    url = f"{GITHUB}/distribution/distribution/releases/download/v3.1.2/registry_3.1.2_linux_{arch}.tar.gz"
    # Its Dockerfile keeps the first word of what `sha256sum` says.
    _put(files, url, content, f"{url}.sha256", f"{sha256(content)}\n")


def _helm(files: dict[str, bytes], arch: str) -> None:
    file = f"helm-v4.3.1-linux-{arch}.tar.gz"
    top = f"linux-{arch}"
    content = archive({f"{top}/": b"", f"{top}/LICENSE": b"", f"{top}/helm": program("helm", arch)})
    _put(files, f"https://get.helm.sh/{file}", content, f"https://get.helm.sh/{file}.sha256sum", line(content, file))


def _chart_testing(files: dict[str, bytes], arch: str) -> None:
    file = f"chart-testing_3.14.0_linux_{arch}.tar.gz"
    content = archive({"LICENSE": b"", "README.md": b"", "etc/lintconf.yaml": b"", "ct": program("ct", arch)})
    folder = f"{GITHUB}/helm/chart-testing/releases/download/v3.14.0"
    sums = f"{OTHER}  {file}.sbom.json\n{line(content, file)}{OTHER}  chart-testing_3.14.0_windows_amd64.zip\n"
    _put(files, f"{folder}/{file}", content, f"{folder}/checksums.txt", sums)
