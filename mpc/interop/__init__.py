"""Models from and to torch; the public names are in `mpc.nn`. Nothing here but plain descriptions leaves a process."""
