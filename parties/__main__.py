"""``python -m mpc.parties``: the processes of a run start here too, before anything of the command line is imported."""
import sys

if len(sys.argv) == 4 and sys.argv[1] == "template":
    from mpc.parties.template import main

    main(int(sys.argv[2]), int(sys.argv[3]))
else:
    from mpc.parties.cli import main as command_line

    command_line()
