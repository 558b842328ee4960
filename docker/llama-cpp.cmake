# Read by llama.cpp's own project. The package sets this to ON, but what it builds is for llama.cpp's programs only.
set(LLAMA_BUILD_COMMON OFF)
