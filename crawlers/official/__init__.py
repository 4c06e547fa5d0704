"""Official APIs: the platforms' own ways to one's own reviews, before any page is opened."""
