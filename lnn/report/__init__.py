"""Tables, figures and files made from a finished study; nothing here runs anything again."""
