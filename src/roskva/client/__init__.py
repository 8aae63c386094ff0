"""The client: an agent that keeps itself connected, and a publisher. Stands without the server."""
