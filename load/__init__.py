"""What sends events over HTTP: the demonstration marketplace and the import of history."""
