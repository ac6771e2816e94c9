#!/bin/sh
# Make a virtual environment with Kitestring and what its development needs.
# Usage: PYTHON=python3 sh tools/setup_venv.sh .venv
# RESOLUTION=lowest-direct installs the lower bounds of pyproject.toml instead
# of constraints.txt. A set-up that fails removes what it made.
set -eu
target=$1
python=${PYTHON:-python3}

"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"Kitestring needs Python 3.11 or newer; {sys.executable} is "
             f"{sys.version.split()[0]}. Run: make PYTHON=python3.11 ...")
PY

rm -rf "$target"
trap 'status=$?; [ $status -eq 0 ] || rm -rf "$target"; exit $status' EXIT INT TERM
"$python" -m venv "$target" >/dev/null 2>&1 ||
  { rm -rf "$target"; uv venv --seed --python "$python" "$target" 2>/dev/null; } ||
  { rm -rf "$target"; "$python" -m virtualenv "$target" 2>/dev/null; } || {
    echo "No virtual environment could be made. Install one of these and try again:" >&2
    echo "  apt-get install python3-venv    (Debian, Ubuntu)" >&2
    echo "  $python -m pip install virtualenv" >&2
    exit 1
  }
bin=$target/bin
"$bin/python" tools/list_requirements.py "${RESOLUTION:-}" > "$target/requirements.txt"
if [ "${RESOLUTION:-}" = lowest-direct ]; then
  "$bin/python" -m pip install --quiet --disable-pip-version-check -r "$target/requirements.txt"
else
  "$bin/python" -m pip install --quiet --disable-pip-version-check \
    -c constraints.txt -r "$target/requirements.txt"
fi
"$bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e .
touch "$target/.ready"
