"""What an operator does from the command line, one room per task; each returns plain data that can be JSON."""
