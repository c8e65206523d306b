"""What a run should be: the schema, and reading and writing it as YAML."""
