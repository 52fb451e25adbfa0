//! Tickets, as people paste them.

use aqueduct_cli::ticket::{MAX_ADDRS, Ticket};

/// Any text: what is a ticket has one spelling, and comes out again letter by letter.
pub fn ticket(data: &[u8]) -> usize {
    let text = String::from_utf8_lossy(data);
    let read = text.parse::<Ticket>();
    let Ok(ticket) = read else { return 0 };
    assert_eq!(ticket.to_string(), text);
    assert!(ticket.addrs().len() <= MAX_ADDRS);
    assert_eq!(Ticket::new(ticket.id(), ticket.addrs()), ticket);
    1 + ticket.addrs().len()
}
