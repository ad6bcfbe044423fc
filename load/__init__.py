"""What sends events over HTTP: the demonstration, the import of history, and load runs."""
