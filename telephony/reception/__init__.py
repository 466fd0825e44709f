"""The reception: everything behind the flows that serve callers before an agent does."""
