"""Files for llama.cpp and Ollama: written with the gguf library, quantized and run by llama.cpp."""
