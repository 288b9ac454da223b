"""What breaks while many local authorities run, and what is left of the study afterwards."""
