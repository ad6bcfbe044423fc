"""Bytes on disk: the journal, the snapshots, and the way back from them."""
