"""How mentions are found: one folder a platform (spider, pages, parser), browser sessions, manners."""
