"""Grade an app that does not know the library: the sensors in every Python process that a command starts."""
