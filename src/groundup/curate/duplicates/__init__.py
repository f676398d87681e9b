"""What was there before: shingles, MinHash signatures, near-duplicates."""
