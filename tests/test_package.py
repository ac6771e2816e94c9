"""The package as a whole: what importing it costs, what it offers, what may import what."""

import ast
import configparser
import json
import subprocess
import sys
from pathlib import Path

import pytest

import kitestring

ROOT = Path(__file__).parents[1]
PACKAGE = Path(kitestring.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)

# Third-party packages are loaded once and each module is imported in a forked
# child: as many cold processes would take a minute and more.
_EACH_ALONE = """
import importlib, json, os, sys, traceback
modules, foreign = json.load(sys.stdin)
for name in foreign:
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # an extra that is not installed
assert not any(name.split(".")[0] == "kitestring" for name in sys.modules)
failed = {}
for name in modules:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            importlib.import_module(name)
        except BaseException:
            os.write(write, traceback.format_exc()[-2000:].encode())
        os._exit(0)
    os.close(write)
    with open(read) as told:
        trouble = told.read()
    _, status = os.waitpid(child, 0)
    if trouble or status:
        failed[name] = trouble or f"status {status}"
json.dump(failed, sys.stdout)
"""

_WHAT_IS_LOADED = """
import json, sys
before = set(sys.modules)
import kitestring
json.dump(sorted({name.split(".")[0] for name in set(sys.modules) - before}), sys.stdout)
"""


def run(program: str, *arguments: str, text: str = "") -> str:
    """Run a program in a fresh interpreter and return what it prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def foreign_modules() -> list[str]:
    """Return all modules that the package imports from elsewhere."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return sorted(name for name in found if name.split(".")[0] != "kitestring")


class TestImports:
    @pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
    def test_every_module_imports_alone(self) -> None:
        answer = run(_EACH_ALONE, text=json.dumps([MODULES, foreign_modules()]))
        failed = json.loads(answer)
        assert len(MODULES) > 90
        assert not failed, "\n".join(f"{name}: {trouble}" for name, trouble in failed.items())

    def test_the_package_loads_the_standard_library_alone(self) -> None:
        loaded = json.loads(run(_WHAT_IS_LOADED))
        assert set(loaded) - sys.stdlib_module_names - {"numpy"} == {"kitestring"}

    def test_every_package_is_under_an_import_contract(self) -> None:
        settings = configparser.ConfigParser()
        settings.read(ROOT / ".importlinter")
        sources = {
            line.strip()
            for section in settings.sections()
            for line in settings.get(section, "source_modules", fallback="").splitlines()
        }
        packages = {f"kitestring.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
        assert len(packages) > 12
        assert packages <= sources, "add a contract to .importlinter"


class TestSurface:
    @pytest.mark.parametrize("name", kitestring.__all__)
    def test_every_public_name_resolves_and_is_told(self, name: str) -> None:
        value = getattr(kitestring, name)
        assert name in dir(kitestring)
        if name != "__version__":
            assert value.__module__.startswith("kitestring.")
            assert len(value.__doc__ or "") > 40

    def test_star_import(self) -> None:
        names = run("from kitestring import *\nprint(*[n for n in dir() if n in globals()])")
        assert set(kitestring.__all__) <= {*names.split(), "__version__"}

    def test_no_public_name_is_hidden_by_a_package(self) -> None:
        """Importing `kitestring.x` sets that attribute, whatever else had the name."""
        submodules = {path.stem for path in PACKAGE.iterdir()}
        assert not submodules & set(kitestring.__all__)

    def test_an_unknown_name_is_refused(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'observabels'"):
            kitestring.observabels  # noqa: B018

    def test_stub_agrees(self) -> None:
        tree = ast.parse((PACKAGE / "__init__.pyi").read_text(encoding="utf-8"))
        stub = {
            alias.asname: (node.module, alias.name)
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert stub == kitestring._EXPORTS
        [told] = [node for node in tree.body if isinstance(node, ast.Assign)]
        assert set(ast.literal_eval(told.value)) == set(kitestring.__all__)
        assert {"__version__", *stub} == set(kitestring.__all__)
        assert (PACKAGE / "py.typed").exists()
