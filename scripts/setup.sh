#!/bin/sh
# Makes .venv and installs the locks into it: `sh scripts/setup.sh cpu|dev`. Called by the Makefile.
# Each thing that can be missing ends as one sentence with the way out; pip's words go to a log.
set -u
part=$1
venv=.venv
log=$venv/install.log

die() {
    echo "backprop: $1" >&2
    exit 2
}

find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
}

make_venv() {
    python=$(find_python)
    [ -n "$python" ] || die "Python 3.11 or newer is needed and not found; install it, or name it: make PYTHON=/path/to/python3.11 $part"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$python has no venv module; install it (Debian, Ubuntu: apt install python3-venv) and try again"
    rm -rf "$venv"
    "$python" -m venv "$venv" 2>/dev/null || die "$python cannot make $venv; is the disk full, or the folder not writable?"
}

# Installs what the arguments name, or says why not.
pip_install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-deps "$@" >>"$log" 2>&1
}

explain() {
    if grep -qiE 'no space left' "$log"; then
        die "the disk is full: about 3 GB are needed; make room and try again"
    elif grep -qiE 'connection|network|resolve|timed out|proxy|unreachable|refused|no matching distribution' "$log"; then
        die "the packages cannot be downloaded; check the network (or pip's index settings) and try again ($log has the details)"
    elif grep -qiE 'do not match the hashes' "$log"; then
        die "a package is not the one that was locked; do not go on, and report it ($log has the details)"
    fi
    die "installing failed; $log has the details"
}

[ -x "$venv/bin/python" ] || make_venv
: >>"$log" 2>/dev/null || die "$log cannot be written"
case $part in
cpu)
    echo "Installing the locked CPU set into $venv (about 2 GB; a few minutes)…"
    pip_install --require-hashes -r requirements/cpu.txt || explain
    # Where the CPU build is provided locally pip finds it; elsewhere it is on PyTorch's own index.
    pip_install -r requirements/torch-cpu.txt ||
        pip_install --index-url "$TORCH_INDEX" -r requirements/torch-cpu.txt || explain
    pip_install --no-build-isolation -e . || explain
    ;;
dev)
    echo "Installing the test tools into $venv…"
    pip_install --require-hashes -r requirements/dev.txt || explain
    ;;
gpu)
    echo "Installing Unsloth and CUDA's torch into $venv (several GB)…"
    "$venv/bin/python" -m pip install --disable-pip-version-check -e '.[unsloth]' >>"$log" 2>&1 || explain
    ;;
esac
