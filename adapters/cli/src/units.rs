//! Amounts as people write them: `10MB`, `1.5GiB`, `100Mbit/s`.
//!
//! `K`, `M`, `G`, `T`, `P`, `E` count in thousands, `Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei` in 1,024s; a
//! `B` behind them means bytes and is optional, `bit` means bits. Case matters to nobody.

/// A number of bytes.
///
/// # Errors
/// A sentence that names the text and the forms that are taken.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    parse(text).ok_or_else(|| format!("`{text}` is no size; write for example 500KB, 10MiB or 2GB"))
}

/// Bytes a second, at least one.
///
/// # Errors
/// A sentence that names the text and the forms that are taken.
pub(crate) fn parse_rate(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let amount = match lower.strip_suffix("bps") {
        Some(bits) => format!("{bits}bit"),
        None => lower.strip_suffix("/s").unwrap_or(&lower).to_owned(),
    };
    parse(&amount)
        .filter(|rate| *rate > 0)
        .ok_or_else(|| format!("`{text}` is no rate; write for example 500KB, 10MiB/s or 100Mbit"))
}

fn parse(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(lower.len());
    let (number, suffix) = lower.split_at_checked(digits)?;
    let (unit, bits) = match suffix.trim() {
        suffix if suffix.ends_with("bit") => (suffix.strip_suffix("bit")?, true),
        suffix => (suffix.strip_suffix('b').unwrap_or(suffix), false),
    };
    let scale: u128 = match unit {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        "p" => 1_000_000_000_000_000,
        "e" => 1_000_000_000_000_000_000,
        "pi" => 1 << 50,
        "ei" => 1 << 60,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || whole.len() > 20 || fraction.len() > 9 || fraction.contains('.') {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let parts: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let of = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let amount = whole * scale + parts * scale / of;
    u64::try_from(if bits { amount / 8 } else { amount }).ok()
}

/// `bytes` in words: three digits and a unit of 1,024s.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = "KiB";
    let mut hundredths = u128::from(bytes) * 100 / 1024;
    for next in UNITS.into_iter().skip(1) {
        if hundredths < 102_400 {
            break;
        }
        hundredths /= 1024;
        unit = next;
    }
    match hundredths {
        0..1_000 => format!("{}.{:02} {unit}", hundredths / 100, hundredths % 100),
        1_000..10_000 => format!("{}.{} {unit}", hundredths / 100, hundredths % 100 / 10),
        _ => format!("{} {unit}", hundredths / 100),
    }
}

/// Bytes a second over `time`.
pub(crate) fn rate_of(bytes: u64, time: std::time::Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "units_tests.rs"]
mod tests;
