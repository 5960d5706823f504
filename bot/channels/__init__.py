"""The networks that people write on: one module each, and how a message is worded there."""
