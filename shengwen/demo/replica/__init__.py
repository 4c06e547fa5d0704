"""The five platforms as they answer: pages that load their own data, and the data in the platforms' shapes."""
