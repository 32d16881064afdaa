"""Makes an FP8 checkpoint of a bf16 one: ``rnj-agent model quantize``."""
