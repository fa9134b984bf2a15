"""The job folder: what an interrupted run leaves for the next one."""
