"""Where the instances' images come from: pulled from a registry, or built here."""
