"""Command line, party and dealer processes, and the demo. Nobody imports this package; it is run."""
