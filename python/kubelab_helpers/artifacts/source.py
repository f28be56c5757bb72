"""Getting artifacts: from the cache, else from the first source that can deliver, verified and cached by content."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from kubelab_helpers.artifacts import build, bundle, cache, installation, oci, rootfs, upstream
from kubelab_helpers.artifacts.catalog import Artifact, Catalog, architecture, load_catalog
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.result import Outcome, Reporter

SourceName = Literal["auto", "bundle", "upstream", "modules", "debian"]
IMAGE_PREFIX = "localhost:5000/kubelab"
REACH_URL = "https://dl.k8s.io/release/stable.txt"
"""Asked once to learn whether upstream can be reached at all."""
TASK = "fetch"


class Store:
    """Delivers artifacts. `source` is one name, or `auto`: bundle, upstream if it is reachable, modules, debian."""

    def __init__(
        self, source: SourceName = "auto", bundle_path: Path | None = None, catalog: Catalog | None = None
    ) -> None:
        if source == "bundle" and bundle_path is None:
            raise InvalidInputError("the source `bundle` needs a bundle", next_step="name it with --bundle")
        self.source = source
        self.bundle_path = bundle_path
        self.catalog = catalog or load_catalog()

    def fetch(self, names: Sequence[str], reporter: Reporter) -> dict[str, Path]:
        """Return each named artifact's path: a program, a folder, a root file system's tar or an OCI archive."""
        missing = self.missing(names)
        if missing:
            reporter.start(TASK, total=len(missing))
        for count, name in enumerate(missing):
            reporter.advance(TASK, count, name)
            with cache.hold_lock(cache.entry(name, self.catalog.key(name), "any")):
                # Another process may have made it while this one waited.
                if self._cached(name) is None:
                    self._produce(self.catalog.get(name))
        if missing:
            reporter.finish(TASK, Outcome.CHANGED, f"{len(missing)} of {len(self.in_order(names))} made")
        return {name: self._entry(name).content for name in names}

    def missing(self, names: Sequence[str]) -> list[str]:
        """Return what a fetch of these names would have to make, parts included."""
        return [name for name in self.in_order(names) if self._cached(name) is None]

    def unobtainable(self, names: Sequence[str]) -> list[str]:
        """Return those of the names that are not here, and that no source in reach can deliver."""
        sources = {name: self._sources(self.catalog.get(name)) for name in self.missing(names)}
        return [
            name
            for name, able in sources.items()
            if not able or (able == ["upstream"] and self.source == "auto" and not self._upstream_reachable)
        ]

    def sha256(self, name: str, member: str = "") -> str:
        """Return the SHA-256 of a fetched artifact, or of one file in it, as it was recorded."""
        return cache.file_sha256(self._entry(name), member)

    def _entry(self, name: str) -> cache.Entry:
        found = self._cached(name)
        if found is None:
            raise BlockedError(f"{name} is not in the cache any more", next_step="run the same command again")
        return found

    def _cached(self, name: str) -> cache.Entry | None:
        key = self.catalog.key(name)
        artifact = self.catalog.get(name)
        # What came from a bundle stays good without it.
        sources = dict.fromkeys([*self._sources(artifact), *(["bundle"] if self.source == "auto" else [])])
        found = (cache.entry(name, key, source) for source in sources)
        return next((each for each in found if cache.is_intact(each)), None)

    def _sources(self, artifact: Artifact) -> list[str]:
        """Return the sources that could deliver this artifact, in order."""
        if artifact.kind == "image":
            return ["composed"]
        able = [name for name in ("upstream", "modules", "debian", "installation") if name in artifact.recipe]
        guard = artifact.recipe.get("modules", {}).get("wheel", {}).get("arch", architecture())
        if guard != architecture():
            able.remove("modules")
        if artifact.is_foreign:  # both are of this machine
            able = [name for name in able if name not in {"modules", "installation"}]
        if self.source == "auto":
            return [*(["bundle"] if self.bundle_path else []), *able]
        if self.source == "bundle":
            return ["bundle"]
        # `modules`, `debian` and `installation` are one way: what is to be had without the projects' own servers.
        if self.source in {"modules", "debian"}:
            return [name for name in able if name != "upstream"]
        return [name for name in able if name == self.source]

    def _produce(self, artifact: Artifact) -> None:
        sources = self._sources(artifact)
        if self.source == "auto" and "upstream" in sources and len(sources) > 1 and not self._upstream_reachable:
            sources.remove("upstream")
        if not sources:
            raise BlockedError(
                f"no recipe of the source {self.source} makes {artifact.name}",
                next_step="use --source auto, which takes each part from where it is to be had",
            )
        target = cache.entry(artifact.name, self.catalog.key(artifact.name), sources[0])
        cache.store(target, lambda content: self._make(artifact, sources[0], content))

    def _make(self, artifact: Artifact, source: str, content: Path) -> None:
        match source:
            case "composed":
                self._compose(artifact, content)
            case "bundle":
                assert self.bundle_path is not None
                bundle.produce(artifact, self.catalog.key(artifact.name), self.bundle_path, content)
            case "upstream":
                upstream.produce(artifact, content)
            case "modules":
                build.produce(artifact, content)
            case "installation":
                installation.produce(artifact, content)
            case _:
                rootfs.produce(artifact, content)

    def _compose(self, artifact: Artifact, content: Path) -> None:
        layers = artifact.recipe["layers"]
        # Once as layers of their own, once in the archive.
        parts = [self._entry(name).content for name in artifact.dependencies]
        cache.require_space(content.parent, 2 * sum(part.stat().st_size for part in parts))
        image = oci.ImageContent(
            architecture=artifact.architecture,
            files={path: self._entry(name).content for path, name in layers["files"].items()},
            entrypoint=artifact.recipe.get("entrypoint", ()),
            user=artifact.recipe.get("user", ""),
            base=self._entry(layers["base"]).content if "base" in layers else None,
            links=layers.get("links", {}),
        )
        oci.write_archive(content, f"{IMAGE_PREFIX}/{artifact.image_name}", image)

    def in_order(self, names: Sequence[str]) -> list[str]:
        """Return the names with all they are composed from, parts before what is made of them."""
        order: dict[str, None] = {}
        for name in names:
            for each in (*self.catalog.get(name).dependencies, name):
                order.setdefault(each)
        return list(order)

    @cached_property
    def _upstream_reachable(self) -> bool:
        return upstream.is_reachable(REACH_URL)
