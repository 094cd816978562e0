"""Training and evaluation of promptable models: simulated clicks, data, losses, loop, metrics."""
