"""YAML documents that remember their lines, and what is wrong with them by a JSON Schema."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import yaml

from kubelab_helpers.errors import InvalidInputError, KubelabError

if TYPE_CHECKING:
    from jsonschema import ValidationError

# The one of libyaml, where PyYAML has it, takes a tenth of the time.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Keys = tuple[str | int, ...]
"""The way to a value from the document's top: keys and list positions."""


@dataclass(frozen=True)
class Document:
    """One YAML mapping: where it came from, its values, and the line (from 1) on which each key stands."""

    name: str
    values: Mapping[str, Any]
    lines: Mapping[Keys, int]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, by key and if known by file and line, and what."""

    keys: Keys
    message: str
    name: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Return `file:line: key: message`."""
        place = f"{self.name}:{self.line}: " if self.line else f"{self.name}: " if self.name else ""
        return f"{place}{format_keys(self.keys)}: {self.message}"


def format_keys(keys: Keys) -> str:
    """Return `pythons[0].version` for ("pythons", 0, "version")."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.removeprefix(".") or "the document"


def read_document(file: Path) -> Document:
    """Read one YAML file whose top is a mapping; empty is an empty mapping.

    Raises InvalidInputError, with file and line, for a syntax error, a key that stands twice, another top.
    """
    try:
        loader = _Loader(file.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        # Constructing puts merged keys into the node, which stand elsewhere.
        lines = dict(_walk_lines(node, (), file)) if node else {}
        values = loader.construct_document(node) if node else {}
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        raise InvalidInputError(f"{file} is no text in UTF-8: {error}", next_step="Name a YAML file.") from error
    except OSError as error:
        raise InvalidInputError(
            f"{file} cannot be read: {error.strerror}", next_step="Name a readable file."
        ) from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInputError(f"{file}{line}: {error.problem}", next_step="Mend the YAML there.") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise InvalidInputError(
            f"{file}:1: a mapping is wanted at the top, not a {type(values).__name__}",
            next_step="Begin with a key, such as `name: lab`.",
        )
    return Document(name=str(file), values=values, lines=lines)


def _walk_lines(node: yaml.Node, keys: Keys, file: Path) -> Iterator[tuple[Keys, int]]:
    """Return the line of every key and list entry below `node`."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in seen:
                message = f"{file}:{line}: {format_keys((*keys, key))} stands twice"
                raise InvalidInputError(message, next_step="Keep one of the two.")
            seen.add(key)
            yield (*keys, key), line
            yield from _walk_lines(value_node, (*keys, key), file)
    elif isinstance(node, yaml.SequenceNode):
        for position, item in enumerate(node.value):
            yield (*keys, position), item.start_mark.line + 1
            yield from _walk_lines(item, (*keys, position), file)


def read_valid(file: Path, schema: Path) -> Any:
    """Read one of kubelab's own YAML files; InvalidInputError says where its JSON Schema (2020-12) has it wrong."""
    jsonschema = _load_jsonschema()
    data = read_document(file).values
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    error = jsonschema.exceptions.best_match(validator.iter_errors(data))
    if error is not None:
        raise InvalidInputError(
            f"{file.name}: {error.json_path}: {error.message}", next_step=f"mend that entry; {schema.name} is beside it"
        )
    return data


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `override` over it as Helm merges: maps key by key, lists and scalars whole."""
    merged = dict(base)
    for key, value in override.items():
        before = merged.get(key)
        both_maps = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(before, value) if both_maps else value  # type: ignore[arg-type]  # both are Mappings
    return merged


def find_problems(values: Mapping[str, Any], schema: Mapping[str, Any], documents: Sequence[Document]) -> list[Problem]:
    """Return what `schema` has against `values`, each placed in the last of `documents` that says it."""
    validator = _load_jsonschema().Draft7Validator(schema)
    errors = sorted(validator.iter_errors(values), key=lambda error: [str(key) for key in error.absolute_path])
    return [problem for error in errors for problem in _explain(error, documents)]


def _load_jsonschema() -> ModuleType:
    """Return jsonschema, without a check for IRIs that no schema here asks for.

    rfc3987-syntax, which Jupyter's packages bring along, takes jsonschema 1 to 3 s to import:
    https://github.com/python-jsonschema/jsonschema/issues/1428
    """
    slow = "rfc3987_syntax"
    if "jsonschema" not in sys.modules and slow not in sys.modules:
        sys.modules[slow] = None  # type: ignore[assignment]  # how an import is refused
        try:
            import jsonschema
        finally:
            del sys.modules[slow]
    import jsonschema

    return jsonschema


def _explain(error: ValidationError, documents: Sequence[Document]) -> Iterator[Problem]:
    """Return an error in our words; a value is shown only where it cannot be a secret."""
    keys: Keys = tuple(error.absolute_path)
    # jsonschema's types allow for errors without schema or instance; a validator's errors have both.
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties" and error.validator_value is False:
        known = schema.get("properties", {})
        for key in instance:
            if key not in known:
                yield _place((*keys, key), f"unknown key{suggest(key, known)}", documents)
        return
    yield _place(keys, _describe(error), documents)


def _describe(error: ValidationError) -> str:
    """Return what a value should have been."""
    wanted: Any = error.validator_value
    instance: Any = error.instance
    match error.validator:
        case "type":
            names = [wanted] if isinstance(wanted, str) else wanted
            return f"{' or '.join(names)} is wanted, not {_name_type(instance)}"
        case "enum":
            near = suggest(str(instance), [str(choice) for choice in wanted])
            return f"{instance!r} is none of {', '.join(map(str, wanted))}{near}"
        case "required":
            missing = [key for key in wanted if key not in instance]
            return f"{', '.join(missing)} is missing"
        case "pattern":
            return f"does not match {wanted}"
        case "minimum" | "maximum":
            return f"{instance} is out of range: the {error.validator} is {wanted}"
    return f"does not fit its {error.validator} ({wanted})"


def _name_type(value: object) -> str:
    names = {bool: "boolean", dict: "object", float: "number", int: "integer", list: "array", str: "string"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def suggest(name: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return `; did you mean X?` for the nearest of the known names, or nothing."""
    folded = {str(candidate).casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]}?" if near else ""


def _place(keys: Keys, message: str, documents: Sequence[Document]) -> Problem:
    """Return the problem with the file and line of its key, or of the nearest key above it."""
    for end in range(len(keys), 0, -1):
        for document in reversed(documents):
            if line := document.lines.get(keys[:end]):
                return Problem(keys, message, document.name, line)
    return Problem(keys, message, documents[-1].name if documents else "")


def require_folder(target: Path) -> None:
    """Raise InvalidInputError unless the folder that is to hold the file `target` is there."""
    folder = target.absolute().parent
    if not folder.is_dir():
        raise InvalidInputError(f"the folder {folder} is not there", next_step=f"mkdir -p {folder}")


def write_whole(target: Path, text: str) -> None:
    """Write a file whole or not at all; KubelabError, naming it, if that fails."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(target)
    except OSError as error:
        raise KubelabError(f"{target} was not written: {error.strerror}", repeat=f"df {target.parent}") from error
    finally:
        partial.unlink(missing_ok=True)
