//! The functions of `include/aqueduct.h`: pointers become slices and references here and nowhere
//! else. What a pointer must be stands in the header. Those that give room away are in
//! [`room`](crate::room).

#![expect(unsafe_code, reason = "pointers of another language; the reason stands at each use")]

use std::ffi::{CStr, c_char};
use std::ptr;
use std::slice;

use aqueduct_core::path::MAX_BATCH;
use aqueduct_core::time::Instant;
use aqueduct_core::wire::id::{AppCode, Dir};

use crate::address::{Address, Way};
use crate::guard::{Handle, contained};
use crate::node::{Event, Node, payload_of};
use crate::status::{Failure, Status};

/// What other languages see of a pointer that must not be null: `None` if it is.
///
/// # Safety
/// Null, or a valid, aligned value of `T` that nobody else uses during the call.
const unsafe fn given<'a, T>(pointer: *mut T) -> Option<&'a mut T> {
    // SAFETY: the caller of the exported function promises it, by the header.
    unsafe { pointer.as_mut() }
}

/// The same for a value that is only read.
///
/// # Safety
/// Null, or a valid, aligned value of `T` that nobody writes during the call.
const unsafe fn shown<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: as above.
    unsafe { pointer.as_ref() }
}

/// Bytes to read. Null is allowed if there are none.
///
/// # Safety
/// Null, or `len` bytes that nobody writes during the call.
const unsafe fn bytes<'a>(pointer: *const u8, len: usize) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    if pointer.is_null() || len > isize::MAX as usize {
        return None;
    }
    // SAFETY: not null, not too long, and there by the caller's promise.
    Some(unsafe { slice::from_raw_parts(pointer, len) })
}

/// A string.
///
/// # Safety
/// Null, or bytes that end with zero and that nobody writes during the call.
const unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, and a string by the caller's promise.
    Some(unsafe { CStr::from_ptr(pointer) })
}

/// Bytes to write.
///
/// # Safety
/// Null, or `len` initialised bytes that nobody else uses during the call.
const unsafe fn bytes_mut<'a>(pointer: *mut u8, len: usize) -> Option<&'a mut [u8]> {
    if len == 0 {
        return Some(&mut []);
    }
    if pointer.is_null() || len > isize::MAX as usize {
        return None;
    }
    // SAFETY: not null, not too long, and there by the caller's promise.
    Some(unsafe { slice::from_raw_parts_mut(pointer, len) })
}

fn missing() -> Failure {
    Failure::new(Status::Invalid, "a null pointer, or a size that cannot be")
}

/// What an optional argument must be.
fn need<T>(argument: Option<T>) -> Result<T, Failure> {
    argument.ok_or_else(missing)
}

/// Calls a node, if there is one.
///
/// # Safety
/// `handle` is null, or of `aqueduct_node_new`, not freed, and used by no other thread now.
unsafe fn with(
    handle: *mut Handle,
    work: impl FnOnce(&mut Node) -> Result<Status, Failure>,
) -> Status {
    // SAFETY: the caller promises it.
    match unsafe { given(handle) } {
        Some(handle) => handle.call(work),
        None => Status::Invalid,
    }
}

/// A node for whoever calls; null if there is none.
fn given_away(make: impl FnOnce() -> Option<Node>) -> *mut Handle {
    let made = contained(|| make().map(|node| Box::new(Handle::new(node)))).flatten();
    made.map_or(ptr::null_mut(), Box::into_raw)
}

/// # Safety
/// `key` and `seed` point to 32 bytes each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_node_new(
    key: *const [u8; 32],
    seed: *const [u8; 32],
) -> *mut Handle {
    // SAFETY: the caller promises it.
    let key = unsafe { shown(key) };
    // SAFETY: the caller promises it.
    let seed = unsafe { shown(seed) };
    let (Some(key), Some(seed)) = (key, seed) else { return ptr::null_mut() };
    given_away(|| Some(Node::new(key, *seed)))
}

/// # Safety
/// `key` and `seed` point to 32 bytes each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_node_new_recorded(
    key: *const [u8; 32],
    seed: *const [u8; 32],
    payload: i32,
) -> *mut Handle {
    // SAFETY: the caller promises it.
    let key = unsafe { shown(key) };
    // SAFETY: the caller promises it.
    let seed = unsafe { shown(seed) };
    let (Some(key), Some(seed)) = (key, seed) else { return ptr::null_mut() };
    given_away(|| Some(Node::recorded(key, *seed, payload_of(payload)?)))
}

/// # Safety
/// `node` is null, or of `aqueduct_node_new` and not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_node_free(node: *mut Handle) {
    if !node.is_null() {
        // SAFETY: it came from `Box::into_raw` and is freed once, as the caller promises.
        let node = unsafe { Box::from_raw(node) };
        contained(|| drop(node));
    }
}

/// # Safety
/// `node` as everywhere; what is returned stands until the next call with this node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_error(node: *const Handle) -> *const c_char {
    // SAFETY: the caller promises it.
    match unsafe { shown(node) } {
        Some(handle) => handle.error().as_ptr(),
        None => c"no node".as_ptr(),
    }
}

/// # Safety
/// `node` as everywhere; `id` points to 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_node_id(node: *mut Handle, id: *mut [u8; 32]) -> Status {
    // SAFETY: the caller promises it.
    let id = unsafe { given(id) };
    let work = |node: &mut Node| {
        *need(id)? = node.id();
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `id` is null or points to 32 bytes; the others are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_connect(
    node: *mut Handle,
    id: *const [u8; 32],
    to: *const Address,
    now: u64,
    connection: *mut u64,
) -> Status {
    // SAFETY: the caller promises it.
    let id = unsafe { shown(id) };
    // SAFETY: the caller promises it.
    let to = unsafe { shown(to) };
    // SAFETY: the caller promises it.
    let connection = unsafe { given(connection) };
    let work = |node: &mut Node| {
        let to = need(to)?.to_std();
        let to = to.ok_or_else(|| Failure::new(Status::Invalid, "an address of no family"))?;
        *need(connection)? = node.connect(id, to, Instant::from_nanos(now))?;
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_set_batch(node: *mut Handle, most: u32, now: u64) -> Status {
    let work = |node: &mut Node| {
        if !(1..=u32::from(MAX_BATCH)).contains(&most) {
            return Err(Failure::new(Status::Invalid, "no batch is so large"));
        }
        node.set_batch(most as usize, Instant::from_nanos(now));
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `datagrams` points to `len` bytes, which are changed; `from` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_feed(
    node: *mut Handle,
    datagrams: *mut u8,
    len: usize,
    from: *const Way,
    now: u64,
) -> Status {
    // SAFETY: the caller promises it.
    let datagrams = unsafe { bytes_mut(datagrams, len) };
    // SAFETY: the caller promises it.
    let from = unsafe { shown(from) };
    let work = |node: &mut Node| {
        node.feed(need(from)?, need(datagrams)?, Instant::from_nanos(now))?;
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `event` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_poll_event(
    node: *mut Handle,
    now: u64,
    event: *mut Event,
) -> Status {
    // SAFETY: the caller promises it.
    let event = unsafe { given(event) };
    let work = |node: &mut Node| {
        let event = need(event)?;
        let news = node.poll_event(Instant::from_nanos(now));
        Ok(news.map_or(Status::Nothing, |news| {
            *event = news;
            Status::Ok
        }))
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `buffer` points to `room` bytes; `len` and `to` are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_poll_transmit(
    node: *mut Handle,
    now: u64,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
    to: *mut Way,
) -> Status {
    // SAFETY: the caller promises it.
    let buffer = unsafe { bytes_mut(buffer, room) };
    // SAFETY: the caller promises it.
    let len = unsafe { given(len) };
    // SAFETY: the caller promises it.
    let to = unsafe { given(to) };
    let work = |node: &mut Node| {
        let (buffer, len, to) = (need(buffer)?, need(len)?, need(to)?);
        let now = Instant::from_nanos(now);
        let Some((way, datagrams)) = node.poll_transmit(now) else { return Ok(Status::Nothing) };
        *len = datagrams.len();
        let Some(buffer) = buffer.get_mut(..datagrams.len()) else {
            return Err(Failure::new(Status::TooSmall, "the buffer is smaller than what is sent"));
        };
        buffer.copy_from_slice(datagrams);
        *to = way;
        node.sent();
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `at` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_next_timeout(
    node: *mut Handle,
    now: u64,
    at: *mut u64,
) -> Status {
    // SAFETY: the caller promises it.
    let at = unsafe { given(at) };
    let work = |node: &mut Node| {
        let at = need(at)?;
        let next = node.next_timeout(Instant::from_nanos(now));
        *at = next.map_or(u64::MAX, Instant::as_nanos);
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `id` points to 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_peer(
    node: *mut Handle,
    connection: u64,
    id: *mut [u8; 32],
) -> Status {
    // SAFETY: the caller promises it.
    let id = unsafe { given(id) };
    let work = |node: &mut Node| {
        *need(id)? = node.peer(connection)?;
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `buffer` points to `room` bytes; `len` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_close_reason(
    node: *mut Handle,
    connection: u64,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller promises it.
    let buffer = unsafe { bytes_mut(buffer, room) };
    // SAFETY: the caller promises it.
    let len = unsafe { given(len) };
    let work = |node: &mut Node| {
        let (buffer, len) = (need(buffer)?, need(len)?);
        let reason = node.close_reason(connection)?;
        *len = reason.len();
        let Some(buffer) = buffer.get_mut(..reason.len()) else {
            return Err(Failure::new(Status::TooSmall, "the buffer is smaller than the reason"));
        };
        buffer.copy_from_slice(reason.as_bytes());
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `protocol` is a string that ends with zero; `stream` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_open_stream(
    node: *mut Handle,
    connection: u64,
    protocol: *const c_char,
    both_ways: i32,
    stream: *mut u64,
) -> Status {
    // SAFETY: the caller promises it.
    let protocol = unsafe { text(protocol) };
    // SAFETY: the caller promises it.
    let stream = unsafe { given(stream) };
    let work = |node: &mut Node| {
        let stream = need(stream)?;
        let dir = if both_ways == 0 { Dir::Uni } else { Dir::Bi };
        *stream = node.open(connection, dir, need(protocol)?.to_bytes())?;
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `stream` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_accept_stream(
    node: *mut Handle,
    connection: u64,
    stream: *mut u64,
) -> Status {
    // SAFETY: the caller promises it.
    let stream = unsafe { given(stream) };
    let work = |node: &mut Node| {
        let stream = need(stream)?;
        Ok(node.accept(connection)?.map_or(Status::Nothing, |opened| {
            *stream = opened;
            Status::Ok
        }))
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `data` points to `len` bytes; `taken` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_write(
    node: *mut Handle,
    connection: u64,
    stream: u64,
    data: *const u8,
    len: usize,
    taken: *mut usize,
) -> Status {
    // SAFETY: the caller promises it.
    let data = unsafe { bytes(data, len) };
    // SAFETY: the caller promises it.
    let taken = unsafe { given(taken) };
    let work = |node: &mut Node| {
        let (data, taken) = (need(data)?, need(taken)?);
        *taken = node.write(connection, stream, data)?;
        Ok(if *taken == 0 && !data.is_empty() { Status::Nothing } else { Status::Ok })
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_finish(
    node: *mut Handle,
    connection: u64,
    stream: u64,
) -> Status {
    // SAFETY: the caller promises it.
    unsafe { with(node, |node| node.finish(connection, stream).map(|()| Status::Ok)) }
}

/// # Safety
/// `node` as everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_reset(
    node: *mut Handle,
    connection: u64,
    stream: u64,
    code: u64,
) -> Status {
    let work = |node: &mut Node| node.reset(connection, stream, AppCode(code));
    // SAFETY: the caller promises it.
    unsafe { with(node, |node| work(node).map(|()| Status::Ok)) }
}

/// # Safety
/// `node` as everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_stop(
    node: *mut Handle,
    connection: u64,
    stream: u64,
    code: u64,
) -> Status {
    let work = |node: &mut Node| node.stop(connection, stream, AppCode(code));
    // SAFETY: the caller promises it.
    unsafe { with(node, |node| work(node).map(|()| Status::Ok)) }
}

/// # Safety
/// `node` as everywhere; `buffer` points to `room` bytes; `len` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_read(
    node: *mut Handle,
    connection: u64,
    stream: u64,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller promises it.
    let buffer = unsafe { bytes_mut(buffer, room) };
    // SAFETY: the caller promises it.
    let len = unsafe { given(len) };
    let work = |node: &mut Node| {
        let (buffer, len) = (need(buffer)?, need(len)?);
        let (status, read) = node.read(connection, stream, buffer)?;
        *len = read;
        Ok(status)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `start` and `end` are valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_pass_skipped(
    node: *mut Handle,
    connection: u64,
    stream: u64,
    start: *mut u64,
    end: *mut u64,
) -> Status {
    // SAFETY: the caller promises it.
    let start = unsafe { given(start) };
    // SAFETY: the caller promises it.
    let end = unsafe { given(end) };
    let work = |node: &mut Node| {
        let (start, end) = (need(start)?, need(end)?);
        let (status, skipped) = node.pass_skipped(connection, stream)?;
        (*start, *end) = (skipped.start, skipped.end);
        Ok(status)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `name` is a string that ends with zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_set_controller(
    node: *mut Handle,
    connection: u64,
    name: *const c_char,
) -> Status {
    // SAFETY: the caller promises it.
    let name = unsafe { text(name) };
    let work = |node: &mut Node| node.set_controller(connection, need(name)?.to_bytes());
    // SAFETY: the caller promises it.
    unsafe { with(node, |node| work(node).map(|()| Status::Ok)) }
}

/// # Safety
/// `node` as everywhere; `why` points to `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_close(
    node: *mut Handle,
    connection: u64,
    code: u64,
    why: *const u8,
    len: usize,
) -> Status {
    // SAFETY: the caller promises it.
    let why = unsafe { bytes(why, len) };
    let work = |node: &mut Node| {
        node.close(connection, AppCode(code), need(why)?)?;
        Ok(Status::Ok)
    };
    // SAFETY: the caller promises it.
    unsafe { with(node, work) }
}

/// # Safety
/// `node` as everywhere; `buffer` points to `room` bytes; `len` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_take_tape(
    node: *mut Handle,
    buffer: *mut u8,
    room: usize,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller promises it.
    let buffer = unsafe { bytes_mut(buffer, room) };
    // SAFETY: the caller promises it.
    let len = unsafe { given(len) };
    let work = |node: &mut Node| {
        let (buffer, len) = (need(buffer)?, need(len)?);
        let (status, taken) = node.take_tape(buffer)?;
        *len = taken;
        Ok(status)
    };
    // SAFETY: the caller promises it.
    match unsafe { given(node) } {
        Some(handle) => handle.rescue(work),
        None => Status::Invalid,
    }
}

/// # Safety
/// `node` as everywhere.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aqueduct_end_tape(node: *mut Handle) -> Status {
    // SAFETY: the caller promises it.
    unsafe { with(node, |node| node.end_tape().map(|()| Status::Ok)) }
}
