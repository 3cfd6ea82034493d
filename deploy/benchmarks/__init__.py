"""What the hub costs, each measured beside the bare thing it stands on, in one run on embedded services."""
