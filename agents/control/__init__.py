"""Who acts in bodies: a network, a script or chance, and the actor that collects what they did."""
