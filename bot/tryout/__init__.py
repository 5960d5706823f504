"""The pretend neighbourhood for `binnenbuurt try` and `binnenbuurt console`: real engine, made-up phones and clock."""
