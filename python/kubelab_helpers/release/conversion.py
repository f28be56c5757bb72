"""From zero-to-jupyterhub's values to the chart's own: what means the same is kept or moved, the rest is told."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from kubelab_helpers.document import find_problems, format_keys, merge, suggest
from kubelab_helpers.release.counterparts import (
    ABSENT,
    OTHER_DEFAULTS,
    OWN_TRAITS,
    RENAMED,
    SECRET_ENDS,
    SECRET_TRAITS,
)
from kubelab_helpers.release.schema import find_value, resolve

Keys = tuple[str, ...]


class Fate(StrEnum):
    """What became of a key that was not simply kept."""

    MOVED = "moved"
    CHANGED = "changed"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    DEFAULT = "default"


@dataclass(frozen=True)
class Note:
    """What a person should know of one key. It never holds a value, which may be secret."""

    key: str
    fate: Fate
    text: str

    def as_data(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"key": self.key, "fate": str(self.fate), "text": self.text}


@dataclass
class Conversion:
    """The chart's values so far, and what there is to tell."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)

    def put(self, keys: Keys, value: Any) -> None:
        """Set a value; maps that are there already are added to."""
        for key in reversed(keys):
            value = {key: value}
        self.values = merge(self.values, value)

    def tell(self, key: str, fate: Fate, text: str) -> None:
        """Add a note."""
        self.notes.append(Note(key, fate, text))


def convert_values(theirs: Mapping[str, Any], schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> Conversion:
    """Return the chart's values for zero-to-jupyterhub's, and a note for each key that could not simply be kept.

    `schema` and `defaults` are the chart's: what comes out fits it. A null is their default, and says nothing.
    """
    made = Conversion()
    _walk(copy.deepcopy(dict(theirs)), (), schema, made)
    _end_tls_once(made)
    _drop_misfits(made, schema, defaults)
    for key, (before, here) in OTHER_DEFAULTS.items():
        if find_value(theirs, tuple(key.split("."))) is None:
            made.tell(key, Fate.DEFAULT, f"not said: there {before}, here {here}")
    return made


def _walk(node: Mapping[str, Any], keys: Keys, schema: Mapping[str, Any], made: Conversion) -> None:
    for key, value in node.items():
        here = (*keys, str(key))
        if value is not None:
            _convert(here, value, schema, made)


def _convert(keys: Keys, value: Any, schema: Mapping[str, Any], made: Conversion) -> None:
    name = ".".join(keys)
    known = _find_schema(keys, schema)
    if name in SPECIAL:
        try:
            SPECIAL[name](value, made)
        except (AttributeError, KeyError, TypeError):
            made.tell(name, Fate.ABSENT, "left out: it has not the shape that this key has there")
    elif name in RENAMED:
        made.put(tuple(RENAMED[name].split(".")), value)
        made.tell(name, Fate.MOVED, f"is {RENAMED[name]} here")
    elif isinstance(value, Mapping) and _goes_deeper(name, known):
        _walk(value, keys, schema, made)
    elif known is not None and name not in ABSENT:
        made.put(keys, value)
    elif reason := _find_reason(keys):
        made.tell(name, Fate.ABSENT, reason)
    else:
        beside = (_find_schema(keys[:-1], schema) or {}).get("properties", {})
        made.tell(name, Fate.UNKNOWN, f"neither chart has such a key{suggest(keys[-1], beside)}")


def _find_schema(keys: Keys, schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of the key here, or None if there is no such key."""
    node = schema
    for key in keys:
        if key not in node.get("properties", {}):
            return None
        node = resolve(node["properties"][key], schema)
    return node


def _goes_deeper(name: str, known: Mapping[str, Any] | None) -> bool:
    """Return whether keys below this one are looked at one by one."""
    named = any(each.startswith(f"{name}.") for each in (*SPECIAL, *RENAMED, *ABSENT))
    return named or (known is not None and "properties" in known)


def _find_reason(keys: Keys) -> str:
    """Return why the key, or the nearest one above it, is not here."""
    above = (".".join(keys[:end]) for end in range(len(keys), 0, -1))
    return next((ABSENT[name] for name in above if name in ABSENT), "")


def _drop_misfits(made: Conversion, schema: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Take out what the chart's schema refuses, and tell why; its own words hold no value of the wrong type."""
    while problems := find_problems(merge(defaults, made.values), schema, ()):
        # One at a time: what is removed for the first may be what the next one is about.
        problem = problems[0]
        keys = problem.keys
        while keys and not _remove(made.values, keys):
            keys = keys[:-1]
        made.tell(format_keys(problem.keys), Fate.ABSENT, f"left out: {problem.message}")
        if not keys:
            return


def _remove(values: dict[str, Any], keys: tuple[str | int, ...]) -> bool:
    """Remove what stands at `keys`; of a list the whole, because its entries belong together."""
    node: Any = values
    for position, key in enumerate(keys):
        if isinstance(node, list) or not isinstance(node, dict) or key not in node:
            return False
        if position == len(keys) - 1 or isinstance(node[key], list):
            del node[key]
            return True
        node = node[key]
    return False


def _convert_image(image: Any, made: Conversion) -> None:
    """Offer their one image as a profile beside the Pythons."""
    secrets = image.get("pullSecrets") or []
    if secrets:
        _convert_pull_secrets(secrets, made)
    if policy := image.get("pullPolicy"):
        made.put(("images", "pullPolicy"), policy)
        made.tell("singleuser.image.pullPolicy", Fate.MOVED, "is images.pullPolicy here")
    if not (name := image.get("name")):
        return
    reference = f"{name}:{image['tag']}" if image.get("tag") else str(name)
    profile = {
        "display_name": "The image of before",
        "slug": "imported",
        "description": reference,
        "kubespawner_override": {"image": reference},
    }
    before = made.values.get("singleuser", {}).get("profileList", [])
    made.put(("singleuser", "profileList"), [profile, *before])
    made.tell("singleuser.image", Fate.CHANGED, "offered as a profile, after the entries of `pythons`")


def _convert_profiles(profiles: Any, made: Conversion) -> None:
    """Keep them, after one that came from their image."""
    made.put(("singleuser", "profileList"), [*made.values.get("singleuser", {}).get("profileList", []), *profiles])


def _convert_pull_secrets(secrets: Any, made: Conversion) -> None:
    """Names may stand alone there."""
    named = [{"name": each} if isinstance(each, str) else each for each in secrets]
    before = made.values.get("imagePullSecrets", [])
    made.put(("imagePullSecrets",), [*before, *(each for each in named if each not in before)])


def _convert_environment(environment: Any, made: Conversion) -> None:
    """Bring Kubernetes' list into a map by name."""
    if isinstance(environment, list):
        environment = {
            each["name"]: each["value"] if "value" in each else {key: each[key] for key in each if key != "name"}
            for each in environment
        }
    _put_environment("hub", environment, made)


def _convert_user_environment(environment: Any, made: Conversion) -> None:
    """Keep what is no secret."""
    _put_environment("singleuser", environment, made)


def _put_environment(owner: str, environment: Mapping[str, Any], made: Conversion) -> None:
    kept = {}
    for name, value in environment.items():
        if isinstance(value, str) and name.lower().endswith(SECRET_ENDS):
            text = "it is secret: put it into a Secret and name that, as `valueFrom: {secretKeyRef: …}`"
            made.tell(f"{owner}.extraEnv.{name}", Fate.ABSENT, text)
        else:
            kept[name] = value
    made.put((owner, "extraEnv"), kept)


def _convert_database(kind: Any, made: Conversion) -> None:
    """Only the file on a claim is here."""
    if kind == "sqlite-pvc":
        made.put(("database", "type"), "sqlite")
        made.tell("hub.db.type", Fate.MOVED, "is database.type here")
    else:
        made.tell("hub.db.type", Fate.ABSENT, "only SQLite on a claim is supported yet")


def _convert_services(services: Any, made: Conversion) -> None:
    """A token is no value here, and a key is the name."""
    for key, service in services.items():
        fields = dict(service or {})
        name = fields.pop("name", key)
        if any([fields.pop("apiToken", None), fields.pop("api_token", None)]):
            text = "it is secret: the hook makes one in <release>-service-<name>, or name a Secret in existingSecret"
            made.tell(f"hub.services.{key}.apiToken", Fate.ABSENT, text)
        made.put(("hub", "services", name), fields)


def _convert_roles(roles: Any, made: Conversion) -> None:
    """Take a role's own name for its key."""
    for key, role in roles.items():
        fields = dict(role or {})
        made.put(("hub", "loadRoles", fields.pop("name", key)), fields)


def _convert_config(config: Any, made: Conversion) -> None:
    """Keep the traits, and no secret among them."""
    kept: dict[str, Any] = {}
    for section, traits in config.items():
        for trait, value in (traits or {}).items():
            if text := _find_secret(section, trait, value):
                made.tell(f"hub.config.{section}.{trait}", Fate.ABSENT, text)
            else:
                kept.setdefault(section, {})[trait] = value
    if "dummy" in str(kept.get("JupyterHub", {}).get("authenticator_class", "")).lower():
        text = "say hub.allowDummyAuthenticator as well: it lets everybody in under any name"
        made.tell("hub.config.JupyterHub.authenticator_class", Fate.CHANGED, text)
    made.put(("hub", "config"), kept)


def _find_secret(section: str, trait: str, value: Any) -> str:
    """Return where a trait belongs that is secret, or nothing; the chart refuses it too."""
    if key := SECRET_TRAITS.get(f"{section}.{trait}"):
        return f"it is secret: put it into a Secret under {key} and name that in hub.existingSecret"
    if remedy := OWN_TRAITS.get(f"{section}.{trait}"):
        return remedy
    if _holds_secret(trait, value) and section != "DummyAuthenticator":
        return "it is secret: put it into a Secret, and set it by hub.extraEnv and hub.extraConfig"
    return ""


def _holds_secret(name: str, value: Any) -> bool:
    """Return whether a text under a secret's name stands in a value, at any depth."""
    if isinstance(value, Mapping):
        return any(_holds_secret(str(key), each) or _holds_secret(name, each) for key, each in value.items())
    if isinstance(value, list):
        return any(_holds_secret(name, each) for each in value)
    return isinstance(value, str) and name.lower().endswith(SECRET_ENDS)


def _convert_https(https: Any, made: Conversion) -> None:
    """Have HTTPS here too, by a certificate of the same origin where there is one."""
    if https.get("manual"):
        made.tell("proxy.https.manual", Fate.ABSENT, "it is secret: `kubectl create secret tls`, and tls.secretName")
    if not https.get("enabled"):
        return
    kind = https.get("type", "letsencrypt")
    made.put(("tls", "enabled"), value=True)
    if hosts := https.get("hosts"):
        made.put(("tls", "hosts"), hosts)
    if kind == "secret" and (name := (https.get("secret") or {}).get("name")):
        made.put(("tls",), {"type": "secret", "secretName": name})
    elif kind == "offload":
        made.put(("tls", "type"), "offload")
    else:
        text = "a certificate of the release's own, until tls.type is certManager (for Let's Encrypt) or secret"
        made.tell("proxy.https.type", Fate.CHANGED, text)
    made.tell("proxy.https", Fate.MOVED, "is tls here")


def _end_tls_once(made: Conversion) -> None:
    """Have TLS end before the proxy where an Ingress or an HTTPRoute speaks HTTP to it."""
    ways = [key for key in ("ingress", "httpRoute") if made.values.get(key, {}).get("enabled")]
    if ways and made.values.get("tls", {}).get("enabled") and made.values["tls"].get("type") != "offload":
        made.values["tls"] = {"enabled": True, "type": "offload"}
        made.tell("proxy.https.type", Fate.CHANGED, f"TLS ends before the proxy, because {ways[0]} is enabled")


def _convert_policy_switch(enabled: Any, made: Conversion) -> None:
    """One component's switch cannot be turned off alone."""
    if not enabled:
        text = "networkPolicy.enabled is the one switch of all policies, and stays on"
        made.tell("networkPolicy.enabled", Fate.ABSENT, text)


SPECIAL = {
    "hub.config": _convert_config,
    "hub.db.type": _convert_database,
    "hub.extraEnv": _convert_environment,
    "hub.loadRoles": _convert_roles,
    "hub.networkPolicy.enabled": _convert_policy_switch,
    "hub.services": _convert_services,
    "singleuser.extraEnv": _convert_user_environment,
    "imagePullSecrets": _convert_pull_secrets,
    "proxy.chp.networkPolicy.enabled": _convert_policy_switch,
    "proxy.https": _convert_https,
    "singleuser.image": _convert_image,
    "singleuser.networkPolicy.enabled": _convert_policy_switch,
    "singleuser.profileList": _convert_profiles,
}
"""Keys that need more than a move."""
