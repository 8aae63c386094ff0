"""The shell: the one node process, its sockets, clock, randomness and log."""
