//! Room in linear memory for a host that has no allocator of its own there.

#![expect(unsafe_code, reason = "pointers of another language; the reason stands at each use")]

use std::ptr;

/// Zeroed; null if there is none.
#[unsafe(no_mangle)]
pub extern "C" fn aqueduct_alloc(len: usize) -> *mut u8 {
    let mut room = Vec::new();
    if room.try_reserve_exact(len).is_err() {
        return ptr::null_mut();
    }
    room.resize(len, 0_u8);
    Box::into_raw(room.into_boxed_slice()).cast()
}

/// # Safety
/// `room` is null, or of `aqueduct_alloc` with the same `len` and not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_dealloc(room: *mut u8, len: usize) {
    if !room.is_null() {
        let room = ptr::slice_from_raw_parts_mut(room, len);
        // SAFETY: it came from `Box::into_raw` of a slice of this length.
        drop(unsafe { Box::from_raw(room) });
    }
}
