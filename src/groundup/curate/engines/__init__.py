"""Where the tasks of curation run: in processes of this machine, or on many machines."""
