use core::time::Duration;
use std::string::ToString;

use super::super::provider::Cipher;
use super::{CLOSE_RESERVE, KeyLimits};

/// spec: R-KEY-13 R-KEY-14 R-KEY-15
#[test]
fn defaults_are_the_greatest_values() {
    let limits = KeyLimits::default();
    assert_eq!(limits.soft_packets(), 1 << 22);
    assert_eq!(limits.soft_age(), Duration::from_secs(3_600));
    assert_eq!(limits.hard_packets(Cipher::ChaCha20Poly1305), 1 << 32);
    assert_eq!(limits.hard_packets(Cipher::Aes256Gcm), 1 << 23);
    assert_eq!(limits.failed_opens(), 1 << 35);
    assert_eq!(CLOSE_RESERVE, 4);
}

/// spec: R-KEY-16
#[test]
fn limits_go_down_and_never_up() {
    let limits = KeyLimits::default();
    assert!(limits.with_soft_packets(0).is_err());
    assert!(limits.with_soft_packets((1 << 22) + 1).is_err());
    assert!(limits.with_soft_age(Duration::ZERO).is_err());
    assert!(limits.with_soft_age(Duration::from_secs(3_601)).is_err());
    assert_eq!(limits.with_soft_age(Duration::from_secs(3_600)), Ok(limits));
    assert_eq!(limits.with_soft_packets(1 << 22), Ok(limits));
    assert_eq!(limits.with_hard_packets(1 << 32), Ok(limits));
    assert_eq!(limits.with_failed_opens(1 << 35), Ok(limits));
    assert!(limits.with_hard_packets((1 << 32) + 1).is_err());
    assert!(limits.with_failed_opens(0).is_err());
    assert!(limits.with_failed_opens((1 << 35) + 1).is_err());
    // The soft limit lies below the hard one, whichever is set first.
    assert!(limits.with_hard_packets(1 << 22).is_err());
    let low = limits.with_soft_packets(10).unwrap().with_hard_packets(11).unwrap();
    assert!(low.with_soft_packets(11).is_err());
    assert!(low.with_hard_packets(10).is_err());
    assert!(limits.with_soft_packets(1).unwrap().with_hard_packets(7).is_err());
    assert_eq!(low.hard_packets(Cipher::Aes256Gcm), 11);
    let low = low.with_failed_opens(3).unwrap().with_soft_age(Duration::from_secs(1)).unwrap();
    assert_eq!((low.failed_opens(), low.soft_age()), (3, Duration::from_secs(1)));
    // Lowering ChaCha20's limit leaves that of AES where it was if that is lower still.
    let high = limits.with_hard_packets(1 << 30).unwrap();
    assert_eq!(high.hard_packets(Cipher::Aes256Gcm), 1 << 23);
}

#[test]
fn errors_name_the_limit() {
    let error = KeyLimits::default().with_failed_opens(0).unwrap_err().to_string();
    assert_eq!(error, "the limit of failed opens must lie between 1 and 34359738368");
}
