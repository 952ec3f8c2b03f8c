"""Ways of adding up clients' updates, one file each; the contract is `base.Aggregator`."""
