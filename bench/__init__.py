"""Benchmarks: what an event, a question and a restart cost, in one run on one machine."""
