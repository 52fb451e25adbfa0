//! Every public door of the endpoint and its views writes on the tape.

use super::source::files;

const DOORS: [&str; 8] = [
    "core/src/endpoint/mod.rs",
    "core/src/endpoint/admit.rs",
    "core/src/endpoint/connection_ref.rs",
    "core/src/endpoint/pipe_doors.rs",
    "core/src/endpoint/pipe_ref.rs",
    "core/src/endpoint/route.rs",
    "core/src/endpoint/turn.rs",
    "core/src/stream/views.rs",
];

/// What writes, or is another door that does.
const WRITES: [&str; 15] = [
    "tape",
    "self.pen",
    "self.note",
    "self.put(",
    "self.put_within(",
    "self.take(",
    "self.look(",
    "self.reset_after(",
    "self.send_datagram_with(",
    "self.send_message_with(",
    "self.has_datagram_room_of(",
    "self.stop_after(",
    "self.pipe_given(",
    "ConnectionRef::new(",
    "PipeRef::new(",
];

/// A door that changes state and writes nothing makes tapes that do not run again.
///
/// spec: R-TAPE-1
#[test]
fn every_door_writes_on_the_tape() {
    let mut seen = 0;
    for source in files("core/src", ".rs") {
        if !DOORS.contains(&source.path.as_str()) {
            continue;
        }
        for part in source.text.split("\n    pub fn ").skip(1) {
            let body = part.split("\n    }\n").next().expect("a first part");
            let signature = body.split(" {\n").next().expect("a first part");
            if signature.contains("&mut self") {
                seen += 1;
                let name = signature.split('(').next().expect("a first part");
                let writes = WRITES.iter().any(|word| body.contains(word));
                assert!(writes, "{}: {name} writes nothing", source.path);
            }
        }
    }
    assert!(seen > 40, "{seen} doors");
}
