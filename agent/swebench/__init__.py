"""SWE-bench, headless: instances, a run over them that nothing can lose, scores and reports."""
