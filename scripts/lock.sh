#!/usr/bin/env bash
# Writes docker/lock/*.txt anew: `make lock` keeps the versions that still fit, `make lock LOCK_ARGS=--upgrade` takes the
# newest. What is locked says its hash; where it is fetched from is said by nobody but the machine that builds.
#
# uv is used here and nowhere else. It asks its default index; UV_DEFAULT_INDEX names another.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

torch=${TORCH:-torch==2.13.0}
read -ra more <<<"${LOCK_ARGS:-}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet uv==0.13.9

# Debian 12 has Python 3.11. Wheels of other machines are listed as well, as far as they belong to the same versions.
lock() {
  local name=$1
  shift
  "$scratch/venv/bin/uv" pip compile --quiet --no-annotate --custom-compile-command 'make lock' --generate-hashes \
    --python-version 3.11 --python-platform linux --output-file "docker/lock/$name.txt" "$@" "${more[@]}"
}

# torch is in no file but that of CUDA: a CPU build comes from an index of its own (docs/container.md). llama-cpp-python
# is compiled in a stage of its own.
printf '%s\n' torch llama-cpp-python >"$scratch/apart"
lock python pyproject.toml docker/lock/python.in --extra verify --extra tokenizer --extra onnx --extra gguf \
  --excludes "$scratch/apart"
echo "$torch" >"$scratch/torch.in"
lock cuda "$scratch/torch.in" --constraints docker/lock/python.txt
lock build docker/lock/build.in
lock llama-cpp docker/lock/llama-cpp.in --no-deps
