"""What the registry's container is given before it starts: its configuration, and the secrets that it reads."""

from __future__ import annotations

import io
import tarfile

import yaml

from kubelab_helpers.cluster.registry import configure
from kubelab_helpers.cluster.registry_secrets import RegistrySecrets
from kubelab_helpers.images.access import PORT

USER_ID = 65532
ROOT = "/var/lib/registry"
CONFIG_FOLDER = "/etc/distribution"
CONFIG_PATH = f"{CONFIG_FOLDER}/config.yml"
UNPROTECTED = RegistrySecrets()


def configuration_files(secrets: RegistrySecrets) -> dict[str, bytes]:
    """Return what the registry reads at its start, by path."""
    config = configure(ROOT, f":{PORT}", secrets=secrets, folder=CONFIG_FOLDER)
    served = {f"{CONFIG_FOLDER}/{name}": content for name, content in secrets.served.items()}
    return {CONFIG_PATH: yaml.safe_dump(config).encode(), **served}


def initial_files(secrets: RegistrySecrets = UNPROTECTED) -> bytes:
    """Return a tar of the configuration, and of the volume's top folder so that the registry's user may write there."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        folder = tarfile.TarInfo(ROOT.lstrip("/"))
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o750, USER_ID, USER_ID
        archive.addfile(folder)
        for path, content in configuration_files(secrets).items():
            file = tarfile.TarInfo(path.lstrip("/"))
            file.size, file.mode, file.uid, file.gid = len(content), 0o400, USER_ID, USER_ID
            archive.addfile(file, io.BytesIO(content))
    return written.getvalue()
