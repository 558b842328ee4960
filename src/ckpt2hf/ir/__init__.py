"""The intermediate representation: the spec of a model and its canonical tensors."""
