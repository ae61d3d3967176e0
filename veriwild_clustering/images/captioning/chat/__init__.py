"""One conversation with a server that speaks the chat-completions protocol."""
