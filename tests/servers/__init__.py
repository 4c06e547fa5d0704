"""Real Kafka, Elasticsearch and PostgreSQL for tests: downloaded once, started when asked for, then stopped."""
