"""The house's imports point one way, and what decides has no writer in its hands."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "python" / "kubelab_helpers"
NAME = PACKAGE.name
LAYERS = ("base", "hosts", "artifacts", "cluster", "images", "release", "lab", "cli")
"""From left to right: a module imports from its own layer or from those before it."""
BASE = {"__init__", "errors", "result", "resources", "document"}
MODULES = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts): ast.parse(file.read_text())
    for file in sorted(PACKAGE.rglob("*.py"))
    if "data" not in file.relative_to(PACKAGE).parts
}
PURE = ("hosts.change", "hosts.plan", "hosts.spec", "hosts.journal", "cluster.kubeadm", "cluster.network")
"""What decides: every Step and all that it is made of."""
STEP_MODULES = tuple(name for name in MODULES if name in PURE or name.startswith("hosts.steps"))
WRITERS = {"hosts.runner", "hosts.executor", "subprocess", "os", "shutil", "socket", "docker", "kubernetes", "requests"}


@cache
def imports_of(module: str) -> set[str]:
    """Return everything that a module imports, at its top and inside functions; our own without the package's name."""
    found: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            origin = node.module or ""
            # `from kubelab_helpers.hosts import journal` may name a module or something in one: both are kept.
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return {name.removeprefix(f"{NAME}.") for name in found}


def layer_of(module: str) -> str:
    first = module.split(".")[0]
    return "base" if first in BASE else first


def own_imports_of(module: str) -> set[str]:
    return {name for name in imports_of(module) if name in MODULES or f"{name}.__init__" in MODULES}


def users_of(library: str) -> set[str]:
    return {module for module in MODULES if any(name.split(".")[0] == library for name in imports_of(module))}


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer_of(module) for module in MODULES} == set(LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    position = LAYERS.index(layer_of(module))
    backward = [name for name in own_imports_of(module) if LAYERS.index(layer_of(name)) > position]
    assert backward == []


def test_one_module_uses_rich() -> None:
    assert users_of("rich") == {"cli.render"}


def test_one_module_uses_pyhelm3() -> None:
    assert users_of("pyhelm3") == {"release.helm"}


def test_only_the_command_lines_use_typer() -> None:
    assert {layer_of(module) for module in users_of("typer")} == {"cli"}
    assert "cli.render" not in users_of("typer")


@pytest.mark.parametrize("module", STEP_MODULES)
def test_what_decides_cannot_write(module: str) -> None:
    """A dry run cannot write, because nothing that a plan is made of can reach a runner, a process or a socket."""
    reached = {name.split(".")[0] for name in imports_of(module)} | imports_of(module)
    assert reached & WRITERS == set()


@pytest.mark.parametrize("module", STEP_MODULES)
def test_what_decides_opens_no_file(module: str) -> None:
    """The parts' content is read by the executor, when it sends it."""
    calls = [node.func for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)]
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    assert names & {"open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "check"} == set()


@pytest.mark.parametrize("module", STEP_MODULES)
def test_no_step_asks_whether_it_is_in_a_container(module: str) -> None:
    """Facts decide, not the kind of host: what CI proves is what a host gets."""
    assert not {name for name in imports_of(module) if name.startswith(("cluster.nodes", "cluster.engine"))}
    names = {getattr(node, "id", getattr(node, "attr", "")).lower() for node in ast.walk(MODULES[module])}
    strings = {
        node.value.lower()
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } - docstrings_of(MODULES[module])
    # Of the Docker on a host only Docker's own step may speak.
    engine = "docker" if module != "hosts.steps.docker" else "dockerenv"
    asked = {text for text in names | strings if engine in text or "in_container" in text or text == "container"}
    assert asked == set()


def docstrings_of(tree: ast.Module) -> set[str]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    firsts = [body[0].value for body in bodies if isinstance(body[0], ast.Expr)]
    return {each.value.lower() for each in firsts if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_only_the_executor_applies_changes() -> None:
    """`Change.operations` are commands; one module carries them to a host."""
    callers = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "operations"
    }
    assert callers == {"hosts.executor"}
    assert not [module for module in MODULES if "hosts.rollback" in imports_of(module) and module in STEP_MODULES]


def test_runners_are_used_where_expected() -> None:
    """Whoever holds a runner could write with it: each of these has its reason.

    The executor writes plans, the rollback puts them back, and a reset is one. Docker's engine hands it to these, and
    its trial removes its containers. Facts, docker, state, certificates and health read; active tries in namespaces
    that go with the trial. Snapshots has etcd save its data. Credentials and tickets make a token, members and etcd
    tell the API who belongs to it: that is no state of a host. Nodes asks systemd. Engine, artifacts and images work
    on the operator's own machine. The layers lab and cli hand runners on.
    """
    users = {module for module in MODULES if "hosts.runner" in imports_of(module)}
    hosts = {
        f"hosts.{name}"
        for name in ("active", "docker", "docker_engine", "executor", "facts", "reset", "rollback", "ssh", "state")
    }
    names = "certificates credentials engine etcd health kubectl members nodes renewal snapshots ticket"
    expected = hosts | {f"cluster.{name}" for name in names.split()}
    assert {module for module in users if layer_of(module) in {"hosts", "cluster"}} == expected
    assert not users & set(STEP_MODULES)


@pytest.mark.parametrize(
    "module", ["errors", "result", *(name for name in MODULES if layer_of(name) in {"hosts", "cli"})]
)
def test_what_every_start_loads_is_light(module: str) -> None:
    """`kubelab --help` starts in a quarter of a second: heavy libraries are imported where they are used."""
    heavy = {"docker", "kubernetes", "requests", "jsonschema", "jinja2", "psutil", "cryptography", "ruamel"}
    top = ast.Module([node for node in MODULES[module].body if isinstance(node, ast.Import | ast.ImportFrom)], [])
    names = {alias.name for node in top.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in top.body if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} & heavy == set()
