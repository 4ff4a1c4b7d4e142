"""Subprotocols, between the messages and an application's hooks."""
