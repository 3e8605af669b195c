"""The sections of a report: each takes a run folder and gives HTML, empty where there is nothing."""
