//! Key derivation: the two shapes of HKDF that the protocol knows, both over HMAC-SHA-256.

use zeroize::Zeroize;

use super::provider::Provider;

/// Noise's HKDF (Noise rev 34, section 4.3): `N` outputs, 2 or 3, from a chaining key and input.
pub fn noise_hkdf<const N: usize>(
    provider: Provider,
    chaining_key: &[u8; 32],
    input: &[u8],
) -> [[u8; 32]; N] {
    debug_assert!(N == 2 || N == 3, "Noise knows two and three outputs");
    let mut temp = provider.hmac_sha256(chaining_key, &[input]);
    let mut outputs = [[0; 32]; N];
    let mut last: &[u8] = &[];
    for (counter, output) in (1_u8..).zip(outputs.iter_mut()) {
        *output = provider.hmac_sha256(&temp, &[last, &[counter]]);
        last = output;
    }
    temp.zeroize();
    outputs
}

/// HKDF-Extract (RFC 5869 section 2.2).
pub fn extract(provider: Provider, salt: &[u8], input: &[u8]) -> [u8; 32] {
    provider.hmac_sha256(salt, &[input])
}

/// HKDF-Expand (RFC 5869 section 2.3) with the context given in parts. At most 8,160 bytes can be
/// made; what `out` has beyond them stays zero (our own callers ask for 32).
pub fn expand(provider: Provider, secret: &[u8], info: &[&[u8]], out: &mut [u8]) {
    debug_assert!(out.len() <= EXPAND_MAX, "HKDF ends after 255 blocks");
    debug_assert!(info.len() <= INFO_PARTS, "too many parts of a context");
    let mut block = [0; 32];
    for (counter, chunk) in (1..=u8::MAX).zip(out.chunks_mut(32)) {
        let counter_byte = [counter];
        let mut parts: [&[u8]; INFO_PARTS + 2] = [&[]; INFO_PARTS + 2];
        let last: &[u8] = if counter == 1 { &[] } else { &block };
        let all = core::iter::once(last).chain(info.iter().copied()).chain([&counter_byte[..]]);
        for (slot, part) in parts.iter_mut().zip(all) {
            *slot = part;
        }
        let next = provider.hmac_sha256(secret, &parts);
        block = next;
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
    }
    block.zeroize();
}

/// HKDF-Expand-Label: the structure of TLS 1.3 (RFC 8446 section 7.1) with `prefix` in the place of
/// `"tls13 "`. Aqueduct's prefix is [`PREFIX`]; QUIC's vectors pass with TLS's.
///
/// `prefix` and `label` together and `context` are at most 255 bytes each, `out` at most 8,160.
pub fn expand_label(
    provider: Provider,
    secret: &[u8; 32],
    prefix: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) {
    debug_assert!(prefix.len() + label.len() <= 255 && context.len() <= 255, "label too long");
    let length = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
    let label_len = [u8::try_from(prefix.len() + label.len()).unwrap_or(u8::MAX)];
    let context_len = [u8::try_from(context.len()).unwrap_or(u8::MAX)];
    let info: [&[u8]; INFO_PARTS] = [&length, &label_len, prefix, label, &context_len, context];
    expand(provider, secret, &info, out);
}

/// [`expand_label`] with Aqueduct's prefix, no context and an output of fixed size.
pub fn derive<const N: usize>(provider: Provider, secret: &[u8; 32], label: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    expand_label(provider, secret, PREFIX, label, &[], &mut out);
    out
}

/// Begins every label of Aqueduct's key schedule (spec R-KEY-2).
pub const PREFIX: &[u8] = b"aqdt1 ";

/// 255 blocks of SHA-256.
pub const EXPAND_MAX: usize = 255 * 32;

const INFO_PARTS: usize = 6;

#[cfg(test)]
#[path = "hkdf_tests.rs"]
mod tests;
