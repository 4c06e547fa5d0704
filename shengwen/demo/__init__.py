"""The demo: a replica of the five platforms with an invented story, fake chat bots and a downstream desk."""
