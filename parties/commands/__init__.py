"""One file per command of `mpc`; `mpc.parties.cli` registers them."""
