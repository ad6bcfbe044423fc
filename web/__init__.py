"""The service around the engine: HTTP, the live stream, and the command line."""
