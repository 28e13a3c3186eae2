"""Customer service over a real SQLite database: `peripatos/Store-v0`."""
