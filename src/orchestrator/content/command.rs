//! The command of a job: a program with arguments, or a line for a shell.
use super::reader::Reader;
use serde_json::Value;

/// Command and arguments together may have so many characters.
const LONGEST_COMMAND: usize = 4096;

/// The program with its arguments, and the line as it was written. A bare string
/// that a shell would take apart is given to a shell.
pub(super) fn command(from: &mut Reader<'_>) -> (Vec<String>, String) {
    let arguments = from.texts("args", 1_000);
    let (argv, line) = match from.get("command") {
        None => (arguments.clone(), shell_words(&arguments)),
        Some(Value::String(text)) if text.trim().is_empty() => {
            (arguments.clone(), shell_words(&arguments))
        }
        Some(Value::String(text)) if arguments.is_empty() && for_a_shell(text.trim()) => (
            vec!["/bin/sh".into(), "-c".into(), text.trim().to_owned()],
            text.trim().to_owned(),
        ),
        Some(Value::String(text)) => {
            let argv: Vec<String> = std::iter::once(text.trim().to_owned())
                .chain(arguments)
                .collect();
            let line = shell_words(&argv);
            (argv, line)
        }
        Some(Value::Array(_)) => {
            let mut argv = from.texts("command", 1_000);
            argv.extend(arguments);
            let line = shell_words(&argv);
            (argv, line)
        }
        Some(_) => {
            from.complain(
                "command",
                "Give the command as text, or as an array of text.",
            );
            (Vec::new(), String::new())
        }
    };
    if argv.iter().map(|word| word.chars().count()).sum::<usize>() > LONGEST_COMMAND {
        from.complain("command", "Command and arguments may have 4096 characters together. Put longer work into a script.");
    }
    if argv.iter().any(|word| word.contains('\0')) {
        from.complain("command", "A command cannot contain a NUL character.");
    }
    (argv, line)
}

/// What `command` and `args` have to be for this program with its arguments.
pub(in crate::orchestrator) fn unparsed_command(words: &[String]) -> (Value, Value) {
    match words {
        // What went to a shell is best shown as it was written.
        [sh, c, line]
            if sh == "/bin/sh" && c == "-c" && line.trim() == line && for_a_shell(line) =>
        {
            (line.as_str().into(), Value::Null)
        }
        // Only arguments can be empty.
        [program, rest @ ..] if rest.iter().any(String::is_empty) => {
            (vec![program.as_str()].into(), rest.into())
        }
        words => (words.into(), Value::Null),
    }
}

fn for_a_shell(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || "|&;<>()$`\\\"'*?[#~!{".contains(c))
}

/// Words as one would type them into a shell.
fn shell_words(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    words
        .iter()
        .map(|word| {
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
