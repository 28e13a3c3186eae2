"""Who speaks: language policies, the rendering of messages into tokens, and the actor that holds conversations."""
