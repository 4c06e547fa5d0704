"""What must be done: baselines and spikes, levels, incidents, tickets, channels, deadlines."""
