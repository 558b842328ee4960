"""The one report tree and its renderings."""
