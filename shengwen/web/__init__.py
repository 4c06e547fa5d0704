"""The web pages and the JSON API. FastAPI is imported in here only."""
