"""Imports go downwards and stand at the top of the file (the layer table of the architecture)."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAPPED = {"mpc": "mpc", "mpc._native": "native", "mpc.parties": "parties", "mpc.benchmarks": "benchmarks"}
LAYERS = (
    {"_native"},
    {"errors", "config", "key_file", "identity", "runfile"},
    {"ring", "fixed_point", "prg", "windows", "masks", "report", "network"},  # report: rows and lines alone
    {"sharing"},
    {"transport"},
    {
        *("exchange", "byte_exchange", "greeting", "meeting", "handshake", "survey"),
        *("party", "preprocessing", "protocols", "functions"),
    },
    {"tensor", "autograd", "ops"},
    {
        *("nn", "optim", "data", "interop", "saving", "estimator", "linear_model", "neural_network"),
        *("session", "profiling", "pipes", "supervision", "failures", "launch"),
    },
    {""},  # mpc/__init__.py: the public names
    {"paillier"},
    {"privacy"},
    {"federated"},
    {"benchmarks", "parties"},  # nobody imports these
)
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
HEAVY = {
    *("torch", "flwr", "opacus", "dp_accounting", "matplotlib", "sklearn", "phe"),
    *("rich", "typer", "cloudpickle", "zmq.auth.thread"),
}


def modules() -> Iterator[tuple[str, Path]]:
    for package, folder in MAPPED.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(modules())


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def source(node: ast.ImportFrom, package: str) -> str:
    """The module an import names, with leading dots resolved."""
    above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def imports(body: list[ast.stmt], package: str, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """(imported module, inside a function?) for everything that is imported at run time."""
    for node in body:
        if is_type_checking(node):
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{source(node, package)}.{alias.name}"
                yield (full if full in MODULES else source(node, package)), inside
        else:
            deeper = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            for block in ("body", "orelse", "finalbody"):
                yield from imports(getattr(node, block, []), package, deeper)
            for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                yield from imports(part.body, package, deeper)


@cache
def found(name: str) -> tuple[tuple[str, bool], ...]:
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return tuple(imports(ast.parse(path.read_text()).body, package))


def layer(module: str) -> int:
    part = (module.split(".") + [""])[1]
    assert part in LAYER, f"{module}: say in tests/test_layers.py which layer it belongs to"
    return LAYER[part]


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "mpc"


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_from_below(name: str) -> None:
    for module, inside in found(name):
        if not is_ours(module):
            continue
        assert layer(module) <= layer(name), f"{name} imports {module} from above"
        if layer(name) < LAYER["parties"]:
            assert not inside, f"{name} imports {module} inside a function"
            assert module != "mpc", f"{name} imports the whole package"


@pytest.mark.parametrize("name", [n for n in MODULES if not n.startswith(("mpc.parties", "mpc.benchmarks"))])
def test_heavy_packages_are_imported_where_they_are_needed(name: str) -> None:
    for module, inside in found(name):
        top = module.split(".")[0]
        if name.startswith("mpc.federated.flower") and top == "flwr":  # its classes are Flower's; imported by nobody else
            continue
        heavy = top in HEAVY or module in HEAVY
        assert inside or not heavy, f"{name} imports {module} at its top"
        assert not inside or heavy, f"{name} imports {module} inside a function"


def test_a_party_process_starts_without_the_command_line() -> None:
    for name in ("mpc.parties", "mpc.parties.child"):
        for module, inside in found(name):
            assert inside or module.split(".")[0] not in HEAVY, f"{name} imports {module}"
    assert not any(inside is False and m == "mpc.parties.cli" for m, inside in found("mpc.parties.child"))


def test_there_is_no_cycle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a cycle of imports: {' -> '.join((*path, name))}"
        if name in done or name not in MODULES or name == "mpc":
            return
        for module, inside in found(name):
            if is_ours(module) and not inside:
                visit(module, (*path, name))
        done.add(name)

    for name in MODULES:
        visit(name, ())
