"""The arrows between the packages: those in the code and those in the diagram of docs/architecture.md are the same."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("layercast", "sim", "player", "codec", "transport")
ALLOWED = {
    "layercast": {"sim", "player", "codec", "transport"},
    "sim": {"player", "codec", "transport"},
    "player": {"codec"},
    "codec": set(),
    "transport": set(),
}
HEAVY = {"torch", "torchvision", "diffusers", "transformers", "efficientnet_lite_pytorch"}


def imported(tree: ast.AST) -> set[str]:
    """The top-level names that a module imports anywhere, also by `import_module("...")`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names |= {str(arg.value).partition(".")[0] for arg in node.args[:1] if isinstance(arg, ast.Constant)}
    return names


def imported_at_once(tree: ast.Module) -> set[str]:
    """The top-level names that importing the module imports: not inside functions, not for type checking."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= imported(node)
        waiting += ast.iter_child_nodes(node)
    return names


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_against_an_arrow(package: str) -> None:
    found = modules(package)
    assert found
    forbidden = set(PACKAGES) - ALLOWED[package] - {package}
    wrong = {
        str(path.relative_to(ROOT)): sorted(bad)
        for path in found
        if (bad := imported(ast.parse(path.read_text())) & (forbidden | {"tests"}))
    }
    assert not wrong


def test_networks_are_imported_when_first_needed() -> None:
    """torch and its kin inside functions alone, or in a module *_network that others import so."""
    wrong = []
    for path in (path for package in PACKAGES for path in modules(package) if "train" not in path.parts):
        text = path.read_text()
        at_once = imported_at_once(ast.parse(text)) & HEAVY and not path.stem.endswith("_network")
        if at_once or re.search(r"^(from|import) \S*_network\b", text, re.M):
            wrong.append(str(path.relative_to(ROOT)))
    assert not wrong


def arrows_in_diagram(text: str) -> dict[str, set[str]]:
    """Importer -> imported, of the first diagram whose second line is made of arrow heads."""
    for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S):
        names, heads, *lines = block.splitlines()
        if set(heads.split()) != {"▲"}:
            continue
        columns = {}
        for found in re.finditer(r"\S+", names):
            (head,) = [at for at, sign in enumerate(heads) if sign == "▲" and found.start() <= at < found.end()]
            columns[head] = found.group()
        return {line.split()[0]: {columns[at] for at, sign in enumerate(line) if sign == "●"} for line in lines if line}
    raise AssertionError("no diagram found")


def test_diagram_shows_the_allowed_arrows() -> None:
    assert arrows_in_diagram((ROOT / "docs/architecture.md").read_text()) == ALLOWED


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "codec").rglob("*.md")]
    wrong = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in documents
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text())
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not wrong
