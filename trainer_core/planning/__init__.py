"""config + machine + model + data → every "auto" resolved, each with its reason. Pure."""
