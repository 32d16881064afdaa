"""What source code says about itself, read with tree-sitter: no language server, no compiler."""
