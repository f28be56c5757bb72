"""An image's bill of materials, by CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from kubelab_helpers.images.filesystem import exported
from kubelab_helpers.images.packages import Contents, Package, read_contents

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component
    from cyclonedx.model.license import License
    from docker import DockerClient
    from packageurl import PackageURL

NAMESPACE = uuid.NAMESPACE_OID
DISTRIBUTION_NAME = "kubelab-helpers"
LABEL_PROPERTY = "kubelab:image:label:"


@dataclass(frozen=True)
class Subject:
    """The image that a bill is about: its name in the catalogue, and what the engine says of it."""

    name: str
    image_id: str
    created: str
    platform: str
    labels: dict[str, str]


def write_bill(engine: DockerClient, name: str, image: Any) -> str:
    """Return the bill of materials of a built image as CycloneDX JSON; the same image gives the same bytes.

    `image` is docker's own object. Nothing of it is run: its file system is read.
    """
    attrs = image.attrs
    platform = f"{attrs['Os']}/{attrs['Architecture']}"
    subject = Subject(name, attrs["Id"], attrs["Created"], platform, dict(attrs["Config"].get("Labels") or {}))
    with exported(engine, attrs["Id"]) as tar:
        contents = read_contents(tar)
    return render_bill(subject, contents)


def render_bill(subject: Subject, contents: Contents) -> str:
    """Return the bill of an image with these contents, as JSON that ends with a line break."""
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    bill = compose_bill(subject, contents)
    return f"{make_outputter(bill, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)}\n"


def compose_bill(subject: Subject, contents: Contents) -> Bom:
    """Return the bill: one component for each package and version, with every place where it is."""
    from cyclonedx.contrib.this.builders import this_component
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    kubelab = Component(
        type=ComponentType.APPLICATION,
        name=DISTRIBUTION_NAME,
        version=installed_version(DISTRIBUTION_NAME),
        bom_ref=DISTRIBUTION_NAME,
    )
    root = _image_component(subject)
    # What the image says, not when or where somebody looked: the bill is then the same wherever it is made.
    metadata = BomMetaData(
        timestamp=datetime.fromisoformat(subject.created),
        tools=ToolRepository(components=[kubelab, this_component()]),
        component=root,
    )
    serial = uuid.uuid5(NAMESPACE, subject.image_id)
    bill = Bom(serial_number=serial, metadata=metadata, components=list(_components(contents)))
    bill.register_dependency(root, bill.components)
    return bill


def package_url(package: Package, contents: Contents) -> PackageURL | None:
    """Return a package's purl: https://github.com/package-url/purl-spec; None for a file of no known package."""
    from packageurl import PackageURL

    if package.kind == "deb":
        qualifiers = {"arch": package.architecture, "distro": f"{contents.system}-{contents.system_version}".strip("-")}
        if package.source != f"{package.name}@{package.version}":
            qualifiers["upstream"] = package.source  # advisories of a distribution speak of source packages
        return PackageURL("deb", contents.system, package.name, package.version, qualifiers)
    if package.kind == "npm":
        scope, _, name = package.name.rpartition("/")
        return PackageURL("npm", scope or None, name, package.version)
    if package.kind == "file":
        return None
    return PackageURL("generic" if package.kind == "cpython" else package.kind, None, package.name, package.version)


def licenses_of(told: Iterable[str]) -> list[License]:
    """Return what metadata says of licences: SPDX identifiers and expressions where they are valid, else names."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import LicenseAcknowledgement, LicenseExpression

    factory, declared = LicenseFactory(), LicenseAcknowledgement.DECLARED
    made = [factory.make_from_string(each, license_acknowledgement=declared) for each in told]
    if len(made) > 1:
        # CycloneDX takes one expression, or several licences that are none.
        made = [
            factory.make_with_name(each.value, acknowledgement=declared)
            if isinstance(each, LicenseExpression)
            else each
            for each in made
        ]
    return made


def _components(contents: Contents) -> Iterable[Component]:
    from cyclonedx.model.component import Component, ComponentType

    if contents.system:
        yield Component(
            type=ComponentType.OPERATING_SYSTEM,
            name=contents.system,
            version=contents.system_version or None,
            bom_ref=f"os:{contents.system}@{contents.system_version}",
        )
    groups: dict[str, list[Package]] = {}
    for package in contents.packages:
        url = package_url(package, contents)
        groups.setdefault(url.to_string() if url else f"file:{package.location}", []).append(package)
    for reference, packages in sorted(groups.items()):
        yield _package_component(reference, packages, package_url(packages[0], contents))


def _package_component(reference: str, packages: list[Package], url: PackageURL | None) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.component_evidence import ComponentEvidence, Occurrence

    first = min(packages, key=lambda each: each.location)
    # Places without a bom-ref of their own come out in the order of their addresses in memory.
    places = [Occurrence(location=each, bom_ref=f"{reference}#{each}") for each in {each.location for each in packages}]
    types = {"cpython": ComponentType.APPLICATION, "file": ComponentType.FILE}
    scope, _, name = first.name.rpartition("/") if first.kind == "npm" else ("", "", first.name)
    return Component(
        type=types.get(first.kind, ComponentType.LIBRARY),
        group=scope or None,
        name=name,
        version=first.version or None,
        bom_ref=reference,
        purl=url,
        cpe=f"cpe:2.3:a:python:python:{first.version}:*:*:*:*:*:*:*" if first.kind == "cpython" else None,
        licenses=licenses_of(first.licenses),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=first.sha256)] if first.sha256 else None,
        evidence=ComponentEvidence(occurrences=places),
    )


def _image_component(subject: Subject) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    labels = [Property(name=f"{LABEL_PROPERTY}{name}", value=text) for name, text in subject.labels.items()]
    return Component(
        type=ComponentType.CONTAINER,
        name=subject.name,
        version=subject.labels.get("org.opencontainers.image.version"),
        description=subject.labels.get("org.opencontainers.image.title"),
        bom_ref=subject.image_id,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=subject.image_id.removeprefix("sha256:"))],
        properties=[*labels, Property(name="kubelab:image:platform", value=subject.platform)],
    )
