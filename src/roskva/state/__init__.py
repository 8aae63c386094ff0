"""Pure state: the two counters of a channel, what an agent is owed, and when (design: ring two)."""
