"""Where street images come from: one module per provider."""
