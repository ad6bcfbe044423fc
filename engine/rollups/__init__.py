"""The metric families: one file each, none knows another."""
