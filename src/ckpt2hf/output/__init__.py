"""Writing: weight files, model directories, atomically."""
