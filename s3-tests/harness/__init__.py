"""What the suite and the drills share: servers, clients, the wire."""
