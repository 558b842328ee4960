#!/usr/bin/env bash
# llama.cpp, of the version that llama-cpp-python in .venv has: `bash scripts/llama_cpp.sh converter|programs`.
#
# `converter` puts convert_hf_to_gguf.py and what it imports into .venv/llama.cpp; `programs` compiles llama-completion and
# llama-server into .venv/llama.cpp/bin, which takes minutes, and keeps them in
# ${XDG_CACHE_HOME:-~/.cache}/ckpt2hf for the next environment. Both come from the source of llama-cpp-python: its wheel
# has neither.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

what=${1:?converter or programs}
python=.venv/bin/python home=.venv/llama.cpp
programs=(llama-completion llama-server)
version=$("$python" -c 'import importlib.metadata as m; print(m.version("llama-cpp-python"))')

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

source_of_library() {
  "$python" -m pip download --quiet --no-deps --no-binary llama-cpp-python --dest "$work" "llama-cpp-python==$version"
  mkdir "$work/source"
  tar --extract --gzip --file "$work"/*.tar.gz --directory "$work/source" --strip-components=3 --wildcards \
    '*/vendor/llama.cpp'
}

# Where there is no CMake, the one of PyPI, as pip does when it compiles the library.
cmake() {
  if ! type -P cmake >/dev/null; then
    [[ -d $work/tools ]] || "$python" -m pip install --quiet --target "$work/tools" cmake
    PYTHONPATH=$work/tools "$work/tools/bin/cmake" "$@"
  else
    command cmake "$@"
  fi
}

# Compiled to be ready soon, not to be fast: what is asked of them in tests is small.
compile() {
  cmake -S "$work/source" -B "$work/build" -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O0 \
    -DBUILD_SHARED_LIBS=OFF -DGGML_NATIVE=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF \
    -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_USE_PREBUILT_UI=OFF >"$work/log" 2>&1 &&
    cmake --build "$work/build" --parallel "$(nproc)" --target "${programs[@]}" >>"$work/log" 2>&1 ||
    { tail -n 40 "$work/log" >&2; return 1; }
}

case $what in
converter)
  source_of_library
  rm -rf "$home/convert_hf_to_gguf.py" "$home/conversion" "$home/gguf-py"
  mkdir -p "$home/gguf-py"
  cp -r "$work/source"/{convert_hf_to_gguf.py,conversion} "$home"
  cp -r "$work/source/gguf-py/gguf" "$home/gguf-py"
  ;;
programs)
  kept=${XDG_CACHE_HOME:-${HOME:-.venv}/.cache}/ckpt2hf/llama.cpp-$version-$(uname -m)
  if [[ ! -d $kept ]]; then
    echo "compiling ${programs[*]} of llama-cpp-python $version, which takes some minutes"
    source_of_library
    compile
    mkdir -p "$kept.$$"
    cp "${programs[@]/#/$work/build/bin/}" "$kept.$$"
    mv --no-target-directory "$kept.$$" "$kept" 2>/dev/null || rm -rf "$kept.$$" # another run was first
  fi
  rm -rf "$home/bin"
  mkdir -p "$home/bin"
  cp "$kept"/* "$home/bin"
  ;;
*)
  echo "what is $what? converter, or programs" >&2
  exit 2
  ;;
esac
