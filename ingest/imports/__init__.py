"""Files in: store exports and text lists become the same record and pass the same privacy as what spiders find."""
