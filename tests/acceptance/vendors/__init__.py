"""Servers of the packages, written from the dossiers alone; they share nothing with the connectors."""
