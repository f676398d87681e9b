"""Benchmarks: ours, each peer, the ratio and the machine's limit, measured side by side."""
