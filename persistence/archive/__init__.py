"""The archive: every event as a row of Parquet, written behind the journal."""
