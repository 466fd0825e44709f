"""Customers and the systems that know them: numbers, matching, ports, adapters, outbox."""
