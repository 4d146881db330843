#!/usr/bin/env bash
# Times a training step of vcp-burn against PyTorch. Arguments go to compare.py. Uses the virtual
# environment of ../peers, which its run.sh makes.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
"$here/../peers/run.sh" --help >/dev/null
cargo build --release --quiet --manifest-path "$here/../../Cargo.toml" \
    -p vcp-burn --example official_step
target="${CARGO_TARGET_DIR:-$here/../../target}"
exec "$here/../peers/.venv/bin/python" "$here/compare.py" \
    --program "$target/release/examples/official_step" "$@"
