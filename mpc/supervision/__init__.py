"""The processes of one run on this machine: start them, hear their outcomes, leave none behind."""
