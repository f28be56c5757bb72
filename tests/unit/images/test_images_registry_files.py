"""What the registry's container is given: nothing new without protection, and secrets for its user alone with it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import yaml

from kubelab_helpers.cluster.certificates import now
from kubelab_helpers.cluster.registry_secrets import Protection, obtain_secrets
from kubelab_helpers.images.registry_files import UNPROTECTED, configuration_files, initial_files

CONFIG = "/etc/distribution/config.yml"


def test_without_protection_the_configuration_is_as_it_was() -> None:
    """Else every registry that runs would be made anew by an upgrade of kubelab."""
    files = configuration_files(UNPROTECTED)
    assert list(files) == [CONFIG]
    config = yaml.safe_load(files[CONFIG])
    assert "auth" not in config
    assert config["http"] == {"addr": ":5000", "headers": {"X-Content-Type-Options": ["nosniff"]}}


def test_each_file_is_the_registrys_own_and_nobody_else_reads_it(tmp_path: Path) -> None:
    both = Protection(tls=True, authentication=True)
    secrets = obtain_secrets(tmp_path, both, "test", ("localhost", "127.0.0.1"), now())
    with tarfile.open(fileobj=io.BytesIO(initial_files(secrets))) as archive:
        files = {f"/{entry.name}": entry for entry in archive if entry.isfile()}
        opened = archive.extractfile(files[CONFIG])
        assert opened
        config = yaml.safe_load(opened.read())
    assert {(entry.mode, entry.uid, entry.gid) for entry in files.values()} == {(0o400, 65532, 65532)}
    named = {config["http"]["tls"]["certificate"], config["http"]["tls"]["key"], config["auth"]["htpasswd"]["path"]}
    assert named == files.keys() - {CONFIG}
    # What signs certificates, and the password itself, stay in the lab's folder.
    assert not {path for path in files if path.endswith(("ca.key", "ca.crt", "password"))}
