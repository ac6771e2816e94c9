"""Print what the development environment needs, from pyproject.toml.

Usage: python tools/list_requirements.py [lowest-direct]

With ``lowest-direct``, dependencies of the package are pinned to their lower bounds.
"""

import re
import sys
import tomllib
from pathlib import Path


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    needed = list(project["project"]["dependencies"])
    if sys.argv[1:] == ["lowest-direct"]:
        needed = [re.sub(r">=", "==", n) for n in needed]
    needed += project["dependency-groups"]["dev"]
    needed += project["build-system"]["requires"]
    print("\n".join(needed))


if __name__ == "__main__":
    main()
