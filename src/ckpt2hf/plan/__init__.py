"""Everything that will happen, as frozen metadata."""
