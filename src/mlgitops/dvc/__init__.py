"""All that is known of DVC: its files, its program, its settings and its storages."""
