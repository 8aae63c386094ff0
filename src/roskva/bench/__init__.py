"""Load generators and their reports: a black box against any SimplePush server by URL."""
