#!/usr/bin/env bash
# Convert the trained example, show that the Hugging Face model predicts as well as the one that was trained, and
# prove that it is the same one. Writes only below ./demo-out.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checkpoint=examples/az-mini/az_llm_mini_final.pt
out=demo-out/az-mini

run() {
  printf '\n$ %s\n' "$*"
  "$@"
}

run ckpt2hf convert "$checkpoint" -o "$out" --dialect az-course --set 'attention_scale=head_dim**-0.5' --force
run python scripts/demo_losses.py examples/az-mini "$out"
run ckpt2hf verify "$out" --against "$checkpoint"
