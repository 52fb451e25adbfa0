use super::*;

/// spec: R-ROUTE-6
#[test]
fn no_address_is_dialled_that_is_not_one_of_a_host() {
    let never = [
        "0.0.0.0:7",
        "[::]:7",
        "[::ffff:0.0.0.0]:7",
        "224.0.0.251:7",
        "[ff02::fb]:7",
        "255.255.255.255:7",
        "[::ffff:255.255.255.255]:7",
        "192.0.2.1:0",
    ];
    for addr in never {
        assert!(!is_dialled(addr.parse().unwrap()), "{addr}");
    }
    for addr in ["192.0.2.1:7", "127.0.0.1:7", "[2001:db8::1]:7", "[::ffff:192.0.2.1]:7"] {
        assert!(is_dialled(addr.parse().unwrap()), "{addr}");
    }
}
