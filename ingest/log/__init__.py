"""The event log: one contract (base), one backend a file."""
