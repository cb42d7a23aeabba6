"""Tables of requests and what they are answered; adding a case is adding a row."""
