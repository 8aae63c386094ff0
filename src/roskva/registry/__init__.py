"""The registry: who is who (registrar), what is new (matcher), who sits here (presence), and elsewhere (courier)."""
