"""Read the one call that a reply asks for, in the forms in which small models really write it."""
