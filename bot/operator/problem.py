"""The error of an operator's command."""


class OperatorProblem(ValueError):
    """What was asked cannot be done; the message is one line and says what to do."""
