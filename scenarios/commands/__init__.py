"""The commands, a file for each kind; importing one of them registers it with the application."""
