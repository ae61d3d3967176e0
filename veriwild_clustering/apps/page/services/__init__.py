"""What the page can do, one module per subject: functions of the workspace and a request, without a trace of HTTP."""
