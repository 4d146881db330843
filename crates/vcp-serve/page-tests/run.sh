#!/usr/bin/env bash
# Tests the page of `vcp-clip serve` in Chromium, with the program in target/debug (or the one that VCP_CLIP names).
# Installs what that needs where it is missing: Node.js and Chromium with apt-get, playwright-core with npm into
# target/page-tests. Ends with status 77 and the reason as its last line if something cannot be had. `run.sh install`
# only installs; other arguments are for `node --test`, such as --test-name-pattern=camera.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
root="$(cd ../../.. && pwd)"
modules="$root/target/page-tests"

cannot() {
    echo "$1"
    exit 77
}

have() {
    command -v "$1" >/dev/null
}

# What Debian calls chromium, other systems may have under another name.
find_browser() {
    local name
    for name in chromium chromium-browser google-chrome; do
        have "$name" && command -v "$name" && return
    done
    return 1
}

missing=()
have node || missing+=(nodejs)
have npm || missing+=(npm)
find_browser >/dev/null || missing+=(chromium)
if ((${#missing[@]} > 0)); then
    have apt-get && ((EUID == 0)) || cannot "there is no ${missing[*]}, and only root can install it, with apt-get"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } >/dev/null 2>&1 ||
        cannot "apt-get cannot install ${missing[*]}"
fi
browser="$(find_browser)" || cannot 'no Chromium was found'

if ! cmp --silent package.json "$modules/package.json" || [[ ! -d "$modules/node_modules/playwright-core" ]]; then
    mkdir -p "$modules" && cp package.json "$modules"
    # The browser is there already.
    (cd "$modules" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --no-audit --no-fund --no-package-lock --silent) ||
        cannot 'npm cannot install playwright-core'
fi

[[ "${1:-}" == install ]] && exit

if [[ -z "${VCP_CLIP:-}" ]]; then
    VCP_CLIP="$root/target/debug/vcp-clip"
    [[ -x "$VCP_CLIP" ]] || (cd "$root" && cargo build -p vcp-cli) || exit 1
fi
export VCP_CLIP
export PAGE_TESTS_MODULES="$modules" PAGE_TESTS_BROWSER="$browser"
status=0
# One after the other: each starts the program and a browser.
for file in ./*.test.js; do
    node --test "$@" "$file" || status=1
done
exit "$status"
