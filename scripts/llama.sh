# llama-cpp-python, which comes as sources: compiled once, and the wheel kept in the user's cache,
# for any number of checkouts. Read by setup.sh, whose die, pip, mentions and explain it calls.

# The build of its own choice takes every instruction of this CPU; with AMX among them, what it
# makes crashes as it runs a quantised model.
llama_flags() {
    flags="-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"
    case $(uname -m) in
    x86_64 | amd64)
        has=OFF
        ! grep -qw avx2 /proc/cpuinfo 2>/dev/null || has=ON
        for name in AVX AVX2 FMA F16C BMI2; do
            flags="$flags -DGGML_$name=$has"
        done
        ;;
    esac
    echo "$flags"
}

# The folder of the wheel; its name holds what the wheel depends on. Python is not among it.
llama_folder() {
    libc=$("$venv/bin/python" -c 'import platform; print("".join(platform.libc_ver()))')
    version=$(sed -n 's/^llama-cpp-python==\([0-9.]*\).*/\1/p' requirements/llama.txt)
    sum=$({
        llama_flags
        cat requirements/llama.txt requirements/llama-build.txt scripts/llama.cmake
    } | cksum)
    echo "${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/backprop/wheels/llama-cpp-python-$version-$(uname -sm | tr ' ' -)-$libc-${sum%% *}"
}

# Prints the wheel in a folder, if it is there and whole.
llama_kept() {
    for wheel in "$1"/*.whl; do
        ! "$venv/bin/python" -m zipfile -t "$wheel" >/dev/null 2>&1 || echo "$wheel"
    done
}

# Makes the wheel. To be called in a subshell: it changes the environment.
llama_compile() {
    kept=$1
    llama_compiler ||
        die "a C++ compiler is needed to build llama-cpp-python and not found; install one (Debian, Ubuntu: apt install g++) and try again"
    mkdir -p "$kept" 2>/dev/null && [ -w "$kept" ] || llama_unwritable
    echo "Compiling llama-cpp-python (two minutes on two cores), to be kept in $kept…"
    work=$(mktemp -d) || die "no temporary folder can be made; make room, or name another: make TMPDIR=/path install-export"
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' HUP INT TERM
    pip install --no-deps --require-hashes --target "$work/tools" -r requirements/llama-build.txt || explain
    export PYTHONPATH="$work/tools" PATH="$work/tools/bin:$PATH" TMPDIR="$work"
    pip download --no-deps --no-build-isolation --require-hashes --dest "$work/source" \
        -r requirements/llama.txt || explain
    # pip's own cache would not know one set of flags from another.
    CMAKE_ARGS="$(llama_flags) '-DCMAKE_PROJECT_llama.cpp_INCLUDE=$PWD/scripts/llama.cmake'" \
        pip wheel --no-deps --no-build-isolation --no-cache-dir --no-index --wheel-dir "$work/built" \
        --config-settings 'wheel.exclude=include/**;lib/**' "$work"/source/*.tar.gz ||
        llama_explain
    # Whole or not at all: a rename in the folder where it stays.
    wheel=$(cd "$work/built" && echo *.whl)
    { cp "$work/built/$wheel" "$kept/.new.$$" && mv "$kept/.new.$$" "$kept/$wheel"; } 2>/dev/null ||
        { rm -f "$kept/.new.$$"; llama_unwritable; }
}

llama_compiler() {
    for name in "${CXX:-c++}" g++ clang++; do
        ! command -v "$name" >/dev/null || return 0
    done
    return 1
}

llama_explain() {
    ! mentions 'no space left|disk quota' || explain
    die "llama-cpp-python does not compile here; $log has the details"
}

llama_unwritable() {
    die "$kept cannot be written; make sure that the disk has room and the folder is writable, or name another with XDG_CACHE_HOME, and try again"
}
