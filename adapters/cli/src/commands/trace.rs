//! `aqueduct trace`: what was recorded with `--trace` runs again, is shown, drawn, written for
//! other tools, or is made fit to give away.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use aqueduct_tokio::trace::{self, Filter, Summary, Tail};
use aqueduct_tokio::{Instant, Payload, StreamId};
use aqueduct_trace::ExportError;
use serde_json::json;

use crate::args::{Export, Format, Picture, Redact, Replay, Show, Trace};
use crate::exit::{Cause, Failure};
use crate::output::{Fields, Output};

/// Does what is wanted with a tape.
///
/// # Errors
/// The file cannot be read, is no tape, or its replay comes out differently.
pub(super) fn run(command: &Trace, output: &Output) -> Result<Fields, Failure> {
    let mut fields = match command {
        Trace::Replay(options) => replay(options, output),
        Trace::Show(options) => show(options, output),
        Trace::Redact(options) => redact(options, output),
        Trace::Report(options) => report(options, output),
        Trace::Export(options) => export(options, output),
    }?;
    fields.insert("command".into(), json!("trace"));
    Ok(fields)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::local(file.display(), &error))
}

fn replay(options: &Replay, output: &Output) -> Result<Fields, Failure> {
    let mut all = Vec::new();
    for file in &options.files {
        let tape = read(file)?;
        let replay = trace::Replay::of(&tape).map(trace::Replay::with_zeros);
        let played = replay.and_then(trace::Replay::run);
        let summary = played.map_err(|why| diverged(file, &why, output))?;
        let exact = trace::Trace::open(&tape).is_ok_and(|tape| tape.payload() == Payload::Full);
        let rest =
            if exact { "" } else { "; what was sent is not in it: its tags were not compared" };
        output.line(&format!("{}: {}{rest}", file.display(), sentence(&summary)));
        let replayed = json!({
            "file": file.to_string_lossy(),
            "divergences": 0,
            "records": summary.records,
            "received_bytes": summary.received.1,
            "sent_bytes": summary.sent.1,
            "events": summary.events,
            "chain": format!("{:016x}", summary.chain),
            "whole": summary.is_whole(),
            "exact": exact,
        });
        // It stays said when a later one diverges.
        output.event("replay", replayed.clone());
        all.push(replayed);
    }
    Ok(Fields::from_iter([("replays".to_owned(), all.into())]))
}

/// Why there is an end before the last file; where one came out differently, programs are told the
/// step, its time and both records.
fn diverged(file: &Path, why: &trace::Divergence, output: &Output) -> Failure {
    let mut cause = Cause::Failure;
    if let trace::Divergence::Differs(difference) = why {
        cause = Cause::Diverged;
        let told = json!({
            "file": file.to_string_lossy(),
            "divergences": 1,
            "step": difference.step,
            "ns": difference.time.as_nanos(),
            "expected": difference.expected,
            "actual": difference.actual,
        });
        output.event("replay", told);
    }
    // The two records stand below each other.
    let words = why.to_string().replace('\n', " ");
    Failure::new(cause, words).context(file.display())
}

fn sentence(summary: &Summary) -> String {
    let span = summary.until.saturating_since(summary.from);
    let tail = match summary.tail {
        Tail::Ended(aqueduct_tokio::Ending::Finished) => String::new(),
        Tail::Ended(why) => format!("; the recording ended early ({why:?})"),
        Tail::Open => "; the recording was cut off".to_owned(),
        Tail::Torn { at } => format!("; the file is torn or damaged from byte {at} on"),
        _ => "; it ends in a way that this does not know".to_owned(),
    };
    format!(
        "no divergence in {} records over {:.3} s ({} bytes in, {} out, {} events){tail}",
        summary.records,
        span.as_secs_f64(),
        summary.received.1,
        summary.sent.1,
        summary.events
    )
}

fn show(options: &Show, output: &Output) -> Result<Fields, Failure> {
    let tape = read(&options.file)?;
    let instant = |seconds: f64| Instant::from_nanos((seconds * 1e9) as u64);
    let filter = Filter {
        topics: options.topic.iter().map(|topic| topic.0).collect(),
        slot: options.connection,
        stream: options.stream.map(StreamId),
        from: options.from.map(instant),
        until: options.until.map(instant),
    };
    let failed = |why| Failure::new(Cause::Failure, why).context(options.file.display());
    let mut shown = 0_u64;
    for record in trace::records(&tape).map_err(failed)? {
        let record = record.map_err(failed)?;
        if filter.takes(&record) {
            shown += 1;
            output.line(&record.to_string());
            let time = record.time.as_nanos();
            let words = record.to_string();
            output.event("record", json!({"step": record.step, "ns": time, "text": words}));
        }
    }
    Ok(Fields::from_iter([("records".to_owned(), shown.into())]))
}

fn redact(options: &Redact, output: &Output) -> Result<Fields, Failure> {
    let tape = read(&options.file)?;
    let redacted = trace::redact(&tape)
        .map_err(|why| Failure::new(Cause::Failure, why).context(options.file.display()))?;
    let out = options.out.as_path();
    create(out)?.write_all(&redacted).map_err(|error| Failure::local(out.display(), &error))?;
    output.line(&format!(
        "{}: {} bytes without keys and payload; ids, addresses, sizes and times are in it",
        out.display(),
        redacted.len()
    ));
    Ok(Fields::from_iter([("bytes".to_owned(), redacted.len().into())]))
}

/// A file that was not there.
fn create(file: &Path) -> Result<fs::File, Failure> {
    let made = fs::File::options().write(true).create_new(true).open(file);
    made.map_err(|error| Failure::local(file.display(), &error))
}

fn report(options: &Picture, output: &Output) -> Result<Fields, Failure> {
    let tapes = options.files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<_> = options.files.iter().map(name).collect();
    let tapes = tapes.iter().zip(&names).map(|(tape, name)| (tape.as_slice(), name.as_str()));
    let report = aqueduct_trace::report_all(&tapes.collect::<Vec<_>>()).map_err(|(at, why)| {
        let file = options.files.get(at).map(|file| file.display().to_string());
        Failure::new(Cause::Failure, why).context(file.unwrap_or_default())
    })?;
    let (out, page) = (options.out.as_path(), report.page.as_bytes());
    create(out)?.write_all(page).map_err(|error| Failure::local(out.display(), &error))?;
    report.notes.iter().for_each(|note| output.note(note));
    output.line(&format!("{}: {} bytes, to be opened in a browser", out.display(), page.len()));
    Ok(Fields::from_iter([
        ("bytes".to_owned(), page.len().into()),
        ("notes".to_owned(), report.notes.into()),
        ("diverged".to_owned(), report.diverged.into()),
    ]))
}

fn export(options: &Export, output: &Output) -> Result<Fields, Failure> {
    let tape = read(&options.file)?;
    let format = match options.format {
        Format::Qlog => aqueduct_trace::Format::Qlog,
        Format::Chrome => aqueduct_trace::Format::Chrome,
        Format::Pcapng => aqueduct_trace::Format::Pcapng,
    };
    // A file that is no tape leaves none behind.
    trace::Trace::open(&tape)
        .map_err(|why| Failure::new(Cause::Failure, why).context(options.file.display()))?;
    let out = options.out.as_path();
    let mut file = BufWriter::new(create(out)?);
    let exported = aqueduct_trace::export(&tape, format, &mut file).map_err(|why| match why {
        ExportError::Io(error) => Failure::local(out.display(), &error),
        why => Failure::new(Cause::Failure, why).context(options.file.display()),
    })?;
    if let Some(why) = &exported.diverged {
        output.note(&format!("behind a divergence no packet is opened: {why}"));
    }
    let (packets, opened) = (exported.packets, exported.opened);
    output.line(&format!("{}: {packets} packets, {opened} of them opened", out.display()));
    Ok(Fields::from_iter([
        ("packets".to_owned(), packets.into()),
        ("opened".to_owned(), opened.into()),
        ("diverged".to_owned(), exported.diverged.into()),
    ]))
}
