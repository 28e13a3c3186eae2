"""What a person looks at: curves, films, gaits, transcripts and tables, drawn from what a run holds."""
