#!/bin/sh
# Run in the stages `packages-*`: the wheel that was compiled goes in, what no run needs goes out, bytecode is made.
set -eu
root=/opt/ckpt2hf
site=$(echo $root/lib/python3*/site-packages)
weigh() { echo "$1: $(du -sm $root | cut -f 1) MB"; }

pip --python $root/bin/python install --no-compile --no-deps --no-index /wheels/*.whl
weigh installed

# What is for building against these packages, or for testing them.
rm -rf "$site"/torch/include "$site"/torch/share/cmake "$site"/torch/test "$site"/torch/lib/*test* \
  "$site"/torch/bin/*[Tt]est* "$site"/torch/bin/protoc* "$site"/onnx/backend/test
find $root -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
find $root -type f \( -name '*.a' -o -name '*.h' -o -name '*.hpp' -o -name '*.pyi' -o -name '*.cmake' \) -delete
weigh 'without headers and tests'

# A wheel cannot hold links: it has each library of llama.cpp three times, and all of them once more beside the package.
rm -rf "${site:?}/lib"
for library in "$site"/llama_cpp/lib/*.so.*; do
  plain=${library%%.so.*}.so
  if cmp -s "$plain" "$library"; then ln -sf "$(basename "$plain")" "$library"; fi
done
weigh 'with each library once'

# Names that only a debugger asks for. Not of NumPy's libraries: what patchelf has rewritten does not bear it.
find "$site/torch/lib" "$site/llama_cpp/lib" -type f -name '*.so*' -exec strip --strip-unneeded {} +
weigh 'without symbols'

# A container's file system may be read-only, so bytecode has to be there. `unchecked-hash`: no source is looked at
# again, and equal sources give equal layers. Modules in the syntax of a newer Python fail here; none can be imported.
"$root/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" ||
  echo 'the modules above stay without bytecode'
weigh 'with bytecode'
