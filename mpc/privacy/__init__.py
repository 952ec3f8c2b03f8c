"""What leaves the engine: noise, masks, anonymised representations and synthetic data, and an audit that measures the leak."""
