"""The servers that ours is compared with, and their loads."""
