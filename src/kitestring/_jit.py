"""How every numba kernel of the package is compiled and cached.

numba looks at a kernel's own file only when it decides whether a cached
compilation is still valid: a kernel that calls one in another file would keep
the old code after that file changed. So the cache lies in a folder named by a
hash of every kernel source in the package and of numba's version, and any
change of a kernel moves all of them to a new folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Kernel = TypeVar("_Kernel", bound=Callable[..., Any])
_PACKAGE = Path(__file__).parent
_KEPT_FOLDERS = 4
_SETTING = threading.RLock()
_IMPORTED = re.compile(rb"^from kitestring\.([\w.]+) import", re.MULTILINE)


def _cache_root() -> Path:
    """Return the folder that holds the caches of all versions."""
    chosen = os.environ.get("KITESTRING_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home()))
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "kitestring"


def sources_digest(package: Path = _PACKAGE) -> str:
    """Return a hash of all sources that kernels come from, and of numba's version.

    These are the files that define kernels and those that they import from, directly or
    through others: a constant or an emitter of another module is compiled in as it was.
    """
    waiting = [p for p in package.rglob("*.py") if b"_jit import" in p.read_bytes()]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in found or not path.exists():
            continue
        found.add(path)
        waiting += [
            package.joinpath(*module.decode().split(".")).with_suffix(".py")
            for module in _IMPORTED.findall(path.read_bytes())
        ]
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(found):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def cache_folder() -> Path | None:
    """Return the cache folder of this state of the sources; older ones are removed.

    None where it cannot be written, as in a read-only home.
    """
    root = _cache_root()
    folder = root / f"kernels-{sources_digest()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        _remove_old(root)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    return folder


def is_compiled(package: str) -> bool:
    """Tell whether kernels of a package, such as ``"correlate"``, were compiled on this machine."""
    folder = cache_folder()
    return folder is not None and any(folder.glob(f"{package}_*/*.nbi"))


def _remove_old(root: Path) -> None:
    import shutil

    folders = sorted(root.glob("kernels-*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for folder in folders[_KEPT_FOLDERS:]:
        shutil.rmtree(folder, ignore_errors=True)


def _named_apart(dispatcher: Any) -> Any:
    """Have compilations written under names that no other process uses.

    numba numbers a kernel's compilations as its index knows them: of two processes that
    compile two versions at once, both take the same number, and one is then served the
    code of the other.
    """
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if file is not None:
        named = file._data_name
        file._data_name = lambda number: f"{uuid.uuid4().hex[:12]}.{named(number)}"
    return dispatcher


def kernel(**options: Any) -> Callable[[_Kernel], _Kernel]:
    """Compile a function with numba, cached as this module's docstring says.

    Parameters
    ----------
    **options
        Passed to `numba.njit` (``parallel``, ``fastmath`` ...). ``nogil`` and
        ``error_model="numpy"`` are set unless given.
    """
    settings = {"nogil": True, "error_model": "numpy"} | options

    def compile_later(function: _Kernel) -> _Kernel:
        folder = cache_folder()
        if folder is None:  # numba's own choice, beside the sources, would miss changed callees
            return cast(_Kernel, numba.njit(**settings)(function))
        with _SETTING:  # numba's setting is everyone's, and threads make kernels too
            saved = numba.config.CACHE_DIR
            numba.config.CACHE_DIR = str(folder)
            try:
                return cast(_Kernel, _named_apart(numba.njit(cache=True, **settings)(function)))
            except RuntimeError:  # no folder can be written
                return cast(_Kernel, numba.njit(**settings)(function))
            finally:
                numba.config.CACHE_DIR = saved

    return compile_later
