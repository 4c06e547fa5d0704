"""The backbone: the Mention record, the event log, stages, dead letters, privacy, imports, coverage."""
