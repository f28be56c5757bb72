"""Refusing what JupyterHub only warns about: an unknown class or trait, a value of the wrong type."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jupyterhub.app import JupyterHub
from kubespawner import KubeSpawner
from traitlets import HasTraits, TraitError
from traitlets.config import Configurable
from traitlets.config.loader import LazyConfigValue
from traitlets.utils.importstring import import_item

from kubelab_hub.settings import stop

CLASS_TRAITS = ("authenticator_class", "spawner_class", "proxy_class")


@functools.cache
def list_hub_classes() -> tuple[type[Configurable], ...]:
    """Return every class that JupyterHub and its installed plugins offer for configuration."""
    return (JupyterHub, KubeSpawner, *JupyterHub().classes)


def list_bases(classes: Iterable[type]) -> dict[str, type[HasTraits]]:
    """Return the classes and the configurable ones they inherit from, by the name that a section has."""
    bases = (base for cls in classes for base in inspect.getmro(cls))
    return {base.__name__: base for base in bases if issubclass(base, Configurable)}


def list_named_classes(c: Mapping[str, Any]) -> Iterator[type]:
    """Return the classes that the configuration names: as an object, or by a dotted name."""
    hub = c.get("JupyterHub", {})
    for named in (hub.get(trait) for trait in CLASS_TRAITS):
        if inspect.isclass(named):
            yield named
        elif isinstance(named, str) and "." in named:
            yield import_item(named)


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` for the nearest known name, or nothing."""
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]}?" if near else ""


def find_problem(owner: type[HasTraits], name: str, value: Any) -> str:
    """Return what is wrong with one trait of `owner`, or nothing."""
    traits = owner.class_traits(config=True)
    if name not in traits:
        return f"{owner.__name__} has no trait {name}{suggest(name, traits)}"
    if isinstance(value, LazyConfigValue):
        return ""
    empty = owner.__new__(owner)
    try:
        # Types only: a class's own validators look at files and at other traits.
        with empty.cross_validation_lock:
            traits[name]._validate(empty, value)
    except TraitError as error:
        return f"{owner.__name__}.{name}: {error}"
    return ""


def find_problems(c: Mapping[str, Any]) -> list[str]:
    """Return every unknown class, unknown trait and wrong type in `c`."""
    known = list_bases([*list_hub_classes(), *list_named_classes(c)])
    problems = []
    for section, traits in c.items():
        if section not in known:
            problems.append(f"there is no configurable class {section}{suggest(section, known)}")
            continue
        found = (find_problem(known[section], name, value) for name, value in traits.items())
        problems += [problem for problem in found if problem]
    return problems


def refuse_unknown_names(config: Mapping[str, Any], where: str) -> None:
    """End the hub's start if `config` names what does not exist, or has a value of the wrong type."""
    if problems := find_problems({section: traits or {} for section, traits in config.items()}):
        stop("\n  ".join([f"{where} is refused:", *problems]))


def refuse_unknown_traits(c: Mapping[str, Any]) -> None:
    """End the hub's start if the whole configuration has a problem."""
    refuse_unknown_names(c, "the configuration (hub.extraConfig included)")
