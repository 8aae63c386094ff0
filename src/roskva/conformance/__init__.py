"""A black-box examiner of any SimplePush server: it knows the wire and docs/protocol.md, and nothing else of ours."""
