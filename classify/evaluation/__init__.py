"""What the classifier is worth: sets that judge, scores, rivals, and the report of them all."""
