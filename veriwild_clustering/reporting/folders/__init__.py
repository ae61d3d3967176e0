"""Image files sorted into one folder per cluster, in a way that survives being killed and can be undone."""
