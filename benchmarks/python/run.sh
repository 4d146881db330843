#!/usr/bin/env bash
# Times the wheel beside `vcp-clip segment`, its metrics beside scikit-learn, and with ENGINES=1 Ray and Spark beside
# `segment`, which need Java; prints Markdown. Arguments go to run.py. PROFILE=dev builds both without a release's optimisation, to try the script.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$here/../.."
environment="$here/.venv"
profile="${PROFILE:-release}"
target="${CARGO_TARGET_DIR:-$root/target}"

[[ -x "$environment/bin/python" ]] || "${PYTHON:-python3}" -m venv "$environment"
"$environment/bin/python" -m pip install --quiet 'maturin>=1.9.4,<2' --requirement "$here/../metrics/requirements.txt" >&2
rm -rf "$here/.wheels"
"$environment/bin/maturin" build --quiet --locked --profile "$profile" --interpreter "$environment/bin/python" \
    --manifest-path "$root/crates/vcp-python/Cargo.toml" --out "$here/.wheels" >&2
"$environment/bin/python" -m pip install --quiet --force-reinstall --no-deps "$here"/.wheels/*.whl >&2
cargo build --quiet --locked --profile "$profile" --manifest-path "$root/Cargo.toml" -p vcp-cli
program="$target/$([[ "$profile" == dev ]] && echo debug || echo "$profile")/vcp-clip"
"$environment/bin/python" "$here/run.py" --wheel "$here"/.wheels/*.whl --program "$program" "$@"
if [[ -n "${ENGINES:-}" ]]; then
    "$environment/bin/python" -m pip install --quiet pyarrow 'ray[data]==2.60.0' 'pyspark==4.3.0' >&2
    "$environment/bin/python" "$here/engines.py" --program "$program"
fi
