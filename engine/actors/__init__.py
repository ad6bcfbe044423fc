"""The part of the engine that knows Trio: shard tasks, the sequencer, and their life."""
