"""From passages to the words of an answer: quoted by default, by a language model if asked for."""
