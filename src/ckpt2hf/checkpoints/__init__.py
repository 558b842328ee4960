"""Reading checkpoints: one module per container format; nothing is imported, nothing is called."""
