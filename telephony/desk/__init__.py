"""What people see: HTTP API, event stream, pages."""
