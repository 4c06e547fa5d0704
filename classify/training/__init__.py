"""Training the encoder that ships: needs torch, which nothing else here imports."""
