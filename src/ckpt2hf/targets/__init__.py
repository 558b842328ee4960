"""What each Hugging Face architecture accepts and how it names its tensors, as data."""
