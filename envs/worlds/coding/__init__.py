"""Programs written for hidden tests, which a sandbox judges."""
