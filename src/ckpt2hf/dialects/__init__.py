"""What each training codebase calls its tensors, as data, and how a checkpoint's dialect is recognised."""
