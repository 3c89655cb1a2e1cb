"""Tell people, by mail, chat or webhook, that a question is open."""
