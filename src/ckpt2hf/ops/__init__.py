"""Invertible rearrangements of tensors."""
