"""Where mentions are found again: the query language, the index, exports."""
