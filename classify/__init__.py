"""What a mention says: sentiment, intent, tags, flags; the model, the taxonomy, training and evaluation."""
