#!/bin/sh
# Makes .venv and installs the locks into it: `sh scripts/setup.sh cpu|gpu|export|tracking|dev`, or
# .venv-audit: `audit`. Called by the Makefile. Each thing that can be missing ends as one sentence
# with the way out; pip's words go to a log.
set -u
part=$1
case $part in audit) venv=.venv-audit ;; *) venv=.venv ;; esac
log=$venv/install.log
said=

die() {
    echo "backprop: $1" >&2
    exit 2
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3 python
    fi
    for name; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    python=$(find_python)
    [ -n "$python" ] || die "Python 3.11 or newer is needed and not found; install it, or name it: make PYTHON=/path/to/python3.11"
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        die "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv) and try again"
    rm -rf "$venv"
    "$python" -m venv "$venv" >/dev/null 2>&1 ||
        die "$python cannot make $venv; make sure that the disk has room and the folder is writable, and try again"
}

# pip's words are kept in a variable: on a full disk the log would lose the line that says so.
pip() {
    said=$("$venv/bin/python" -m pip --disable-pip-version-check --no-input "$@" 2>&1)
    status=$?
    printf '%s\n' "$said" 2>/dev/null >>"$log"
    return $status
}

mentions() {
    printf '%s\n' "$said" | grep -qiE "$1"
}

explain() {
    if mentions 'no space left|disk quota'; then
        die "the disk is full (the CPU set takes about 2 GB, the GPU set about 10); make room and try again"
    elif mentions 'do not match the hashes'; then
        die "a package is not the one that was locked; do not go on, and report it ($log has the details)"
    elif mentions 'from versions: .*[0-9]' && ! mentions 'retrying'; then
        die "a locked package has no build for this Python and system; try Python 3.11 on 64-bit Linux: make clean, then make PYTHON=python3.11 install ($log has the details)"
    elif mentions 'connection ?(error|refused|reset|aborted|broken)|connecttimeout|timed out|max retries|name resolution|proxyerror|sslerror|unreachable|http error|from versions: none|no matching distribution'; then
        die "the packages cannot be downloaded; check the network and pip's index settings, and try again ($log has the details)"
    fi
    die "installing failed; $log has the details (make clean starts afresh)"
}

{ new_enough "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; } || make_venv
{ : >>"$log"; } 2>/dev/null || die "$log cannot be written; make sure that the disk has room and the folder is writable, and try again"

case $part in
cpu)
    echo "Installing the locked CPU set into $venv (about 2 GB; a few minutes)…"
    pip install --no-deps --require-hashes -r requirements/cpu.txt || explain
    # Where the CPU build is provided locally pip finds it; elsewhere it is on PyTorch's own index.
    pip install --no-deps -r requirements/torch-cpu.txt ||
        pip install --no-deps --index-url "$TORCH_INDEX" -r requirements/torch-cpu.txt || explain
    ;;
gpu)
    echo "Installing the locked GPU set into $venv (about 10 GB; not yet run on a GPU machine)…"
    # pip takes an installed 2.13.0+cpu for 2.13.0.
    [ ! -e "$venv/.cpu" ] || pip uninstall --yes torch || explain
    rm -f "$venv/.cpu"
    pip install --no-deps --require-hashes -r requirements/gpu.txt || explain
    ;;
export)
    echo "Installing what the export needs into $venv (about 150 MB)…"
    . scripts/llama.sh
    pip install --no-deps --require-hashes -r requirements/export.txt || explain
    folder=$(llama_folder)
    [ -n "$(llama_kept "$folder")" ] || (llama_compile "$folder") || exit
    pip install --no-deps --no-index --force-reinstall "$(llama_kept "$folder")" || explain
    exit
    ;;
tracking)
    echo "Installing the trackers into $venv (about 60 MB)…"
    pip install --no-deps --require-hashes -r requirements/tracking.txt || explain
    exit
    ;;
dev)
    echo "Installing the test tools into $venv…"
    pip install --no-deps --require-hashes -r requirements/dev.txt || explain
    exit
    ;;
audit)
    echo "Installing the audit's tools into $venv (about 400 MB)…"
    pip install --no-deps --require-hashes -r requirements/audit.txt || explain
    exit
    ;;
esac
pip install --no-deps --no-build-isolation -e . || explain
