"""Algebraic identities that turn a spec a target cannot express into one it can."""
