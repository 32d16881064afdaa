"""Whether predictions solve their instances: by our own judge, or by the official harness."""
