"""The shell: settings, command line, web pages and API, wiring. Imports all rooms, is imported by none."""
