"""The dashboard. It shows runs and passes wishes on; it computes nothing about training itself."""
