"""The index on Elasticsearch 8 or 9: the same contract as the embedded one."""
