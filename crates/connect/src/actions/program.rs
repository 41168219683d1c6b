//! Running a program of the system: bounded in time and output.

use super::{ActionError, failed};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ANSWER_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// What a program may say: sets of two hundred thousand networks are about 20 MB of JSON.
const OUTPUT_BYTES_MAX: u64 = 256 << 20;
/// What of its complaint is shown.
const COMPLAINT_CHARS_MAX: usize = 300;

/// What it said on standard output, or what it complained about.
pub fn run(command: &[String], arguments: &[&str], input: &str) -> Result<String, ActionError> {
    let (program, first) = command.split_first().ok_or_else(|| failed("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(first).args(arguments).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(format!("{program} cannot be run: {error}")))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // All three pipes at once: a program that waits for one of them would wait for ever.
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut stdin = stdin;
            // One that does not read says why itself.
            let _ = stdin.as_mut().map(|pipe| pipe.write_all(input.as_bytes()));
        });
        let said = scope.spawn(move || read(stdout));
        let complained = scope.spawn(move || read(stderr));
        let status = wait(&mut child, program);
        let (said, complained) = (said.join().unwrap_or_default(), complained.join().unwrap_or_default());
        let status = status?;
        if status.success() {
            return Ok(said);
        }
        let complaint = if complained.trim().is_empty() { &said } else { &complained };
        let complaint: String = complaint.trim().chars().take(COMPLAINT_CHARS_MAX).collect();
        Err(failed(if complaint.is_empty() { format!("{program}: {status}") } else { format!("{program}: {complaint}") }))
    })
}

fn read(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn wait(child: &mut Child, program: &str) -> Result<std::process::ExitStatus, ActionError> {
    let give_up = Instant::now() + ANSWER_MAX;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if Instant::now() > give_up {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!("{program} said nothing for {} s", ANSWER_MAX.as_secs())));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn it_says_what_it_read_and_why_it_failed() {
        let long = "x".repeat(1 << 20);
        assert_eq!(run(&words(&["cat"]), &["-"], &long).unwrap().len(), long.len());
        let error = run(&words(&["sh", "-c"]), &["echo no >&2; exit 3"], &long).unwrap_err();
        assert_eq!(error.to_string(), "sh: no");
        assert!(run(&words(&["/no/such/program"]), &[], "").unwrap_err().to_string().contains("cannot be run"));
    }
}
