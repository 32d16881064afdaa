"""The default image of the Docker sandbox: what is in it, and how it comes to be."""
