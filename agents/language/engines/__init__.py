"""What draws tokens from a language model."""
