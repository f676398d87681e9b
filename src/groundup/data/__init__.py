"""Documents → token shards → batches."""
