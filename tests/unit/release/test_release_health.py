"""What counts against a release's health, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes.client
import pytest
import requests

from kubelab_helpers.release import deploy


def pod(component: str, *, ready: bool) -> Any:
    labels = {"app.kubernetes.io/instance": "jupyterhub", "app.kubernetes.io/component": component}
    condition = SimpleNamespace(type="Ready", status=str(ready), message="it still pulls")
    status = SimpleNamespace(phase="Pending", conditions=[condition], container_statuses=[])
    return SimpleNamespace(metadata=SimpleNamespace(name=component, labels=labels), status=status)


def is_selected(labels: dict[str, str], selector: str) -> bool:
    """Return what the API server does with `key=value` and `key!=value`."""
    for term in selector.split(","):
        key, unequal, value = term.partition("!=")
        if not unequal:
            key, _, value = term.partition("=")
        if (labels.get(key) == value) is bool(unequal):
            return False
    return True


@pytest.mark.parametrize(("slow", "unready"), [("image-puller", ()), ("hub", ("pod hub: it still pulls",))])
def test_pulling_images_is_no_illness(monkeypatch: pytest.MonkeyPatch, slow: str, unready: tuple[str, ...]) -> None:
    pods = [pod(each, ready=each != slow) for each in ("hub", "proxy", "image-puller")]

    def list_pods(namespace: str, label_selector: str, **_: Any) -> Any:
        found = [each for each in pods if is_selected(each.metadata.labels, label_selector)]
        return SimpleNamespace(items=found if namespace == "jupyterhub" else [])

    @contextmanager
    def open_api(_: Path) -> Iterator[None]:
        yield None

    def refuse(*_: Any, **__: Any) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(deploy, "api_client", open_api)
    monkeypatch.setattr(kubernetes.client, "CoreV1Api", lambda _: SimpleNamespace(list_namespaced_pod=list_pods))
    monkeypatch.setattr(requests.Session, "get", refuse)
    assert deploy.read_health(Path("kubeconfig"), "http://127.0.0.1:1") == deploy.HubHealth(False, unready)
