"""Proofs that a written directory computes what the checkpoint computes."""
