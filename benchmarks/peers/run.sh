#!/usr/bin/env bash
# Times vcp-clip against the other ways to run VCP-CLIP on a CPU. Arguments go to compare.py.
# Makes its virtual environment in .venv beside this file; PYTHON names the interpreter to use.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
environment="$here/.venv"
requirements="$here/requirements.txt"
installed="$environment/requirements.installed.txt"

if ! cmp --silent "$requirements" "$installed"; then
    echo "Installing the packages of requirements.txt into $environment (once)." >&2
    "${PYTHON:-python3}" -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --requirement "$requirements" >&2
    cp "$requirements" "$installed"
fi

exec "$environment/bin/python" "$here/compare.py" "$@"
