"""The chart's values schema: read from values.schema.yaml, and what is generated from it.

`python -m kubelab_helpers.release.schema` writes values.schema.json and the README's table; `--check` only
compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from kubelab_helpers import resources

TABLE_BEGIN = "<!-- values: generated from values.schema.yaml by `make schema` -->"
TABLE_END = "<!-- end of values -->"
CELL_CHARACTERS = 60


def default_chart() -> Path:
    """Return the folder of the chart that kubelab carries."""
    return resources.path("charts/jupyterhub-multi")


def read_schema(chart: Path | None = None) -> dict[str, Any]:
    """Return the schema that Helm reads, as generated from values.schema.yaml."""
    schema: dict[str, Any] = json.loads(((chart or default_chart()) / "values.schema.json").read_text(encoding="utf-8"))
    return schema


def generate_schema_json(chart: Path | None = None) -> str:
    """Return the text of values.schema.json: the source, and what every default asks for."""
    folder = chart or default_chart()
    schema: dict[str, Any] = yaml.safe_load((folder / "values.schema.yaml").read_text(encoding="utf-8"))
    require_defaults(schema, yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8")), schema)
    return json.dumps(schema, indent=2) + "\n"


def require_defaults(node: dict[str, Any], defaults: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Have a key with a default be required, unless it may be null: Helm drops a key that a user sets to null.

    So `hub.services: null` is refused by name, and does not reach a template or the hub as a key that is missing.
    """
    for key, child in node.get("properties", {}).items():
        target = resolve(child, schema)
        kinds = target.get("type", "")
        if defaults.get(key) is None or "null" in kinds:
            continue
        node["required"] = list(dict.fromkeys([*node.get("required", []), key]))
        # What is shared by `$ref` says for itself what it requires.
        if "$ref" not in child and isinstance(defaults[key], Mapping):
            require_defaults(child, defaults[key], schema)


def generate_readme(chart: Path | None = None) -> str:
    """Return the text of the chart's README.md with its table of values made anew."""
    chart = chart or default_chart()
    text = (chart / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    return f"{before}{TABLE_BEGIN}\n\n{_render_table(chart)}\n\n{TABLE_END}{after}"


def _render_table(chart: Path) -> str:
    """Return the Markdown table of every value: key, default, description."""
    schema = yaml.safe_load((chart / "values.schema.yaml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    rows = ["| key | default | what it is |", "| --- | --- | --- |"]
    for keys, node in walk_leaves(schema, schema):
        default = _render_default(find_value(defaults, keys))
        rows.append(f"| `{'.'.join(keys)}` | {default} | {node.get('description', '')} |")
    return "\n".join(rows)


def walk_leaves(
    node: Mapping[str, Any], schema: Mapping[str, Any], keys: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Return the way to every value without named keys of its own, and its schema; resources count as one."""
    for key, child in node.get("properties", {}).items():
        target = resolve(child, schema)
        if "properties" in target and child.get("$ref") != "#/definitions/resources":
            yield from walk_leaves(target, schema, (*keys, key))
        else:
            yield (*keys, key), {**target, **child}


def resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a `$ref` of `#/definitions/...` names, or the node itself."""
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Mapping[str, Any] = schema["definitions"][reference.removeprefix("#/definitions/")]
    return target


def find_value(values: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the value at `keys`, or None."""
    found: Any = values
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _render_default(value: Any) -> str:
    """Return a default as one cell; what is long stands in values.yaml."""
    text = json.dumps(value)
    return f"`{text}`" if len(text) <= CELL_CHARACTERS else "see values.yaml"


def write_generated(chart: Path, *, check: bool) -> list[Path]:
    """Write what is generated, or with `check` nothing; returns the files that were not up to date."""
    generated = {
        chart / "values.schema.json": generate_schema_json(chart),
        chart / "README.md": generate_readme(chart),
    }
    stale = [file for file, text in generated.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if not check:
        for file in stale:
            file.write_text(generated[file], encoding="utf-8")
    return stale


def main(arguments: list[str]) -> int:
    """Generate, or with `--check` exit 1 when something is not up to date."""
    check = arguments == ["--check"]
    stale = write_generated(default_chart(), check=check)
    for file in stale:
        sys.stderr.write(f"{'not up to date' if check else 'written'}: {file}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
