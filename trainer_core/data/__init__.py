"""From files to conversations: sources → rows → conversations → splits. Light: never torch."""
