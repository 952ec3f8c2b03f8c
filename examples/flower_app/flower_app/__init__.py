"""A Flower app whose server never sees an update."""
